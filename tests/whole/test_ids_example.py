"""examples/ids: every id's result is in the database once, and the chord's sum is that of plain Python."""

import importlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import psutil
import pytest

from examples.ids.collatz import steps_to_one
from examples.ids.results import make, summed
from polypool import chord, group
from tests.whole.workers import PATIENCE, WorkerProcess, until, worker

ROOT = Path(__file__).parents[2]


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Where the example keeps its files in these tests."""
    places = {"IDS_RESULTS": str(tmp_path / "results.db"), "IDS_BROKER": f"sqlite:///{tmp_path / 'queue.db'}"}
    for name, value in places.items():
        monkeypatch.setenv(name, value)
    make(places["IDS_RESULTS"])
    return {**places, "PYTHONPATH": str(ROOT)}


@pytest.fixture
def example(there: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The example's tasks as a client has them."""
    monkeypatch.delitem(sys.modules, "examples.ids.app", raising=False)
    module = importlib.import_module("examples.ids.app")
    yield module
    module.app.close()
    monkeypatch.delitem(sys.modules, "examples.ids.app")


def expected(count: int) -> tuple[int, int]:
    return count, sum(steps_to_one(id) for id in range(1, count + 1))


@pytest.mark.parametrize("size", [("--size", "100"), ()], ids=["given", "found"])
def test_it_sums_up_what_it_stored(there: dict[str, str], size: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "examples.ids", "--count", "3000", "--processes", "2", *size]
    ran = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **there}, capture_output=True, text=True, timeout=200, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    rows, total = expected(3000)
    assert f"the chord: {rows:,} results, sum {total:,}" in ran.stdout
    assert summed(there["IDS_RESULTS"]) == (rows, total)


def test_a_child_that_is_killed_in_the_middle_costs_nothing(
    example: ModuleType, there: dict[str, str], tmp_path: Path
) -> None:
    count, size = 60_000, 2_000
    with worker(tmp_path, "examples.ids.app:app", "--pool", "prefork=2", **there) as running:
        sent = chord(group.chunks(example.steps, range(1, count + 1), size), example.total.s()).delay()
        until(lambda: summed(there["IDS_RESULTS"])[0] >= size, "a chunk is done")
        os.kill(busiest_child(running), signal.SIGKILL)
        summary = sent.get(timeout=PATIENCE)
        assert "died" in running.said() or "killed" in running.said()
    assert (summary["count"], summary["sum"]) == summed(there["IDS_RESULTS"]) == expected(count)


def test_rows_written_twice_are_there_once(tmp_path: Path) -> None:
    from examples.ids.results import Table

    make(str(tmp_path / "results.db"))
    table = Table(str(tmp_path / "results.db"))
    for _ in range(2):
        table.write([(1, 0), (2, 1), (3, 7)])
    table.close()
    assert summed(str(tmp_path / "results.db")) == (3, 8)


def busiest_child(running: WorkerProcess) -> int:
    """A process that runs chunks: of those without children the one that used most CPU."""
    leaves = [child for child in running.children() if not child.children()]
    busiest: psutil.Process = max(leaves, key=lambda child: child.cpu_times().user)
    return int(busiest.pid)
