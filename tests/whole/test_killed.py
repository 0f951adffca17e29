"""Workers and children are killed for real, and every run is counted."""

import os
import signal
from collections import Counter
from pathlib import Path
from types import ModuleType

import psutil
import pytest

from polypool import TaskLost, TimeLimitExceeded
from tests.whole.marks import whole_lines
from tests.whole.workers import PATIENCE, until, worker

LEASE = ("--heartbeat", "4")
"""For workers that are to be found dead soon; others have the usual lease, which they keep on a busy machine too."""


def begun(marks: ModuleType, folder: Path) -> Counter[str]:
    found: Counter[str] = marks.read(folder)["begin"]
    return found


def ended(marks: ModuleType, folder: Path) -> Counter[str]:
    found: Counter[str] = marks.read(folder)["end"]
    return found


@pytest.mark.parametrize("task", ["nap", "doze", "grind"])
def test_what_a_killed_worker_held_runs_again_in_another_and_ends_once(
    marks: ModuleType, tmp_path: Path, task: str
) -> None:
    with worker(tmp_path, "marks:app", *LEASE) as first:
        result = getattr(marks, task).delay(4)
        until(lambda: begun(marks, tmp_path)[result.id] == 1, "the task began")
        first.kill()
    with worker(tmp_path, "marks:app"):
        assert result.get(timeout=PATIENCE)
    assert begun(marks, tmp_path)[result.id] == 2
    assert ended(marks, tmp_path)[result.id] == 1


@pytest.mark.parametrize("task", ["nap", "doze", "grind"])
def test_what_a_killed_child_ran_runs_again_in_another_child(marks: ModuleType, tmp_path: Path, task: str) -> None:
    with worker(tmp_path, "marks:app"):
        result = getattr(marks, task).delay(4)
        until(lambda: begun(marks, tmp_path)[result.id] == 1, "the task began")
        os.kill(pid_of(tmp_path, result.id), signal.SIGKILL)
        assert result.get(timeout=PATIENCE)
    assert begun(marks, tmp_path)[result.id] == 2
    assert ended(marks, tmp_path)[result.id] == 1


def test_a_task_that_kills_its_process_goes_to_the_dead_letters_and_its_neighbours_end(
    marks: ModuleType, tmp_path: Path
) -> None:
    with worker(tmp_path, "marks:app", "--pool", "prefork=2"):
        neighbours = [marks.grind.delay(0.2) for _ in range(10)]
        poison = marks.crash.delay()
        with pytest.raises(TaskLost, match="SIGSEGV"):
            poison.get(timeout=PATIENCE)
        assert [result.get(timeout=PATIENCE) for result in neighbours] == ["ground"] * 10
    assert begun(marks, tmp_path)[poison.id] == 3
    assert all(begun(marks, tmp_path)[result.id] == 1 for result in neighbours)


def test_a_hard_timeout_kills_only_the_child_that_ran_it(marks: ModuleType, tmp_path: Path) -> None:
    with worker(tmp_path, "marks:app", "--pool", "prefork=2") as running:
        before = {process.pid for process in running.children()}
        with pytest.raises(TimeLimitExceeded, match=r"0\.5 s"):
            marks.endless.delay().get(timeout=PATIENCE)
        assert marks.grind.delay(0.01).get(timeout=PATIENCE) == "ground"
        lost = before - {process.pid for process in running.children()}
        assert len(lost) == 1


@pytest.mark.parametrize("engine", ["sqlite", "redis", "postgres"], indirect=True)
def test_a_worker_that_slept_past_its_lease_is_fenced_off_and_changes_nothing(
    marks: ModuleType, tmp_path: Path
) -> None:
    with worker(tmp_path, "marks:app", *LEASE) as sleeper:
        result = marks.nap.delay(4)
        until(lambda: begun(marks, tmp_path)[result.id] == 1, "the task began")
        family = [psutil.Process(sleeper.pid), *sleeper.children()]
        for process in family:
            process.suspend()
        with worker(tmp_path, "marks:app"):
            until(lambda: begun(marks, tmp_path)[result.id] == 2, "the other worker took it over")
            for process in family:
                process.resume()
            assert result.get(timeout=PATIENCE) == "napped"
            until(
                lambda: "silent for longer than its lease" in sleeper.said(),
                "the sleeper learnt that it was fenced off",
            )
        assert sleeper.stop() == 0
    assert begun(marks, tmp_path)[result.id] == 2


def test_children_end_when_their_supervisor_is_killed(marks: ModuleType, tmp_path: Path) -> None:
    with worker(tmp_path, "marks:app") as running:
        family = running.children()
        assert family
        running.kill()
        _, left = psutil.wait_procs(family, timeout=PATIENCE)
        assert left == []


def test_a_blocked_event_loop_is_reported_with_its_stack_and_loses_nothing(marks: ModuleType, tmp_path: Path) -> None:
    with worker(tmp_path, "marks:app") as running:
        result = marks.block.delay(10)
        until(
            lambda: "marks.block" in running.said() and "time.sleep(seconds)" in running.said(),
            "a warning with the stack",
        )
        assert not ended(marks, tmp_path)
        assert result.get(timeout=PATIENCE) == "blocked"
    assert begun(marks, tmp_path)[result.id] == 1


def pid_of(folder: Path, id: str) -> int:
    """The process in which a task began last."""
    lines = [line.split() for line in whole_lines(folder / "marks.txt")]
    return int([pid for what, found, pid in lines if what == "begin" and found == id][-1])
