"""Limits over real workers, one of which is killed: never above, slots of the dead come back, nobody else waits."""

import importlib.util
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.whole.marks import whole_lines
from tests.whole.workers import PATIENCE, until, worker

LEASE = ("--heartbeat", "4")


@pytest.fixture
def limited(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module `limited` of this test's own folder, which is also the current one."""
    shutil.copy(Path(__file__).with_name("limited.py"), tmp_path / "limited.py")
    monkeypatch.chdir(tmp_path)
    spec = importlib.util.spec_from_file_location("limited", tmp_path / "limited.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "limited", module)
    spec.loader.exec_module(module)
    yield module
    module.app.close()


def marks(folder: Path, what: str) -> list[float]:
    """When these marks were left, in order."""
    lines = whole_lines(folder / "marks.txt")
    return sorted(float(line.split()[1]) for line in lines if line.split()[0] == what)


@pytest.mark.parametrize("engine", ["sqlite", "redis", "postgres", "rabbitmq"], indirect=True)
def test_two_workers_reach_a_limit_together_though_one_is_killed_and_keep_a_task_without_one_waiting_for_nobody(
    limited: ModuleType, tmp_path: Path
) -> None:
    with worker(tmp_path, "limited:app", *LEASE) as first, worker(tmp_path, "limited:app", *LEASE):
        results = [limited.ask.delay() for _ in range(300)]
        assert limited.free.delay().get(timeout=PATIENCE) == "free"
        assert not results[-1].ready(), "those with a limit wait meanwhile"
        until(lambda: len(marks(tmp_path, "ask")) >= 40, "some were let begin")
        first.kill()
        for result in results:
            result.get(timeout=PATIENCE)
    times = marks(tmp_path, "ask")
    assert len(times) >= 300
    # Marks are late by what the machine makes of them, so what was granted in two seconds may show in one and a half.
    assert all(times[place + 88] - times[place] >= 1.5 for place in range(len(times) - 88))


def test_slots_of_a_killed_worker_come_back_and_a_step_is_charged_by_what_the_one_before_it_returned(
    limited: ModuleType, tmp_path: Path
) -> None:
    with worker(tmp_path, "limited:app", *LEASE) as first:
        held = [limited.work.delay("seven", 60) for _ in range(2)]
        until(
            lambda: len(marks(tmp_path, "begin:seven")) == 2 or first.process.poll() is not None, "both slots are held"
        )
        waiting = limited.named().delay()
        with worker(tmp_path, "limited:app", *LEASE):
            other = limited.work.delay("eight")
            assert other.get(timeout=PATIENCE) == "eight"
            assert not waiting.ready() and len(marks(tmp_path, "begin:seven")) == 2
            first.kill()
            (tmp_path / "gate").touch()
            assert waiting.get(timeout=PATIENCE) == "seven"
            assert [result.get(timeout=PATIENCE) for result in held] == ["seven"] * 2


def test_a_task_that_a_provider_refuses_runs_again_without_a_retry(limited: ModuleType, tmp_path: Path) -> None:
    with worker(tmp_path, "limited:app"):
        assert limited.refused.delay().get(timeout=PATIENCE) == 1
    first, second = marks(tmp_path, "refused")
    assert second - first >= 0.9
