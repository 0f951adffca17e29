"""What `polypool worker` makes of its options, before it starts anything."""

import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from polypool.cli import worker as command
from polypool.core.settings import PoolSpec, WorkerSettings
from tests.unit.cli.conftest import Typed, write_module

Started = list[tuple[WorkerSettings, bool]]


@pytest.fixture
def started(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Started]:
    """The settings each worker would have been started with; the app is there and must not be imported."""
    write_module(folder, "scan", "raise SystemExit('the supervisor imported user code')")
    seen: Started = []
    monkeypatch.setattr(command, "_run", lambda settings, reloads: seen.append((settings, reloads)) or 0)
    handlers, level = logging.root.handlers[:], logging.root.level
    yield seen
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


def test_everything_said_reaches_the_worker_in_seconds_and_bytes(
    polypool: Typed, started: Started, folder: Path
) -> None:
    options = (
        "-Q fast,default -Q slow --pool asyncio=4x500 --pool prefork=2 --grace 5 --heartbeat 1.5 "
        "--max-tasks-per-child 9 --max-memory-per-child 200M --broker sqlite:///x.db --name one --reload"
    )
    assert polypool("worker", "scan:app", *options.split()).status == 0
    ((settings, reloads),) = started
    assert reloads
    assert settings == WorkerSettings(
        target="scan:app",
        queues=("fast", "default", "slow"),
        pools=(PoolSpec("asyncio", 4, 500), PoolSpec("prefork", 2, 1)),
        grace=5.0,
        heartbeat=1.5,
        max_tasks_per_child=9,
        max_memory_per_child=200_000_000,
        broker="sqlite:///x.db",
        name="one",
        directory=str(folder),
    )


def test_what_is_not_said_keeps_its_default(polypool: Typed, started: Started, folder: Path) -> None:
    assert polypool("worker", "scan:app").status == 0
    assert started == [(WorkerSettings(target="scan:app", directory=str(folder)), False)]


def test_the_status_a_worker_returns_is_that_of_the_command(
    polypool: Typed, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_run", lambda *_: 1)
    assert polypool("worker", "scan:app").status == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--pool", "proccess=2"], "no pool is called 'proccess'"),
        (["--pool", "prefork=0"], "at least 1"),
        (["--pool", "asyncio=10", "--pool", "asyncio=20"], "given twice"),
        (["--max-memory-per-child", "lots"], "write 200M"),
        (["--heartbeat", "0"], "heartbeat"),
        (["-Q", ","], "names nothing"),
        (["--graec", "3"], "--grace"),
    ],
)
def test_a_wrong_option_is_answered_before_anything_starts(
    polypool: Typed, started: Started, words: list[str], said: str
) -> None:
    came = polypool("worker", "scan:app", *words)
    assert came.status == 2
    assert said in came.err and "Traceback" not in came.err
    assert started == []


def test_a_wrong_module_is_answered_before_anything_starts(polypool: Typed, started: Started) -> None:
    came = polypool("worker", "scam:app")
    assert came.status == 2 and "did you mean scan?" in came.err
    assert started == []


def test_the_workers_way_loads_nothing_that_draws() -> None:
    script = "import sys, polypool.cli.main, polypool.cli.worker; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split()
    assert "polypool.cli.worker" in loaded
    heavy = {"rich", "gevent", "eventlet", "watchfiles", "polypool.cli.table", "sqlite3"}
    assert set(loaded) & heavy == set()


def test_reload_without_its_package_is_answered_with_the_line_that_installs_it(
    polypool: Typed, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_module(folder, "scan", "")
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    came = polypool("worker", "scan:app", "--reload")
    assert came.status == 2
    assert "pip install 'polypool[reload]'" in came.err
