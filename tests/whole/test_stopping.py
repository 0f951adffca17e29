"""A worker stops in order, at once when told twice, and rolls its children to new code."""

import os
import signal
import time
from pathlib import Path
from types import ModuleType

from tests.whole.marks import whole_lines
from tests.whole.workers import PATIENCE, until, worker


def test_a_stop_lets_running_calls_end_and_leaves_the_rest_in_the_queue(marks: ModuleType, tmp_path: Path) -> None:
    with worker(tmp_path, "marks:app", "--pool", "prefork=1") as running:
        results = [marks.grind.delay(1) for _ in range(3)]
        until(lambda: marks.read(tmp_path)["begin"], "the first one began")
        assert running.stop() == 0
        states = sorted(result.status for result in results)
        assert states == ["queued", "queued", "succeeded"]
    with worker(tmp_path, "marks:app"):
        assert [result.get(timeout=PATIENCE) for result in results] == ["ground"] * 3
    assert set(marks.read(tmp_path)["begin"].values()) == {1}


def test_a_second_stop_gives_back_uncounted_what_runs(marks: ModuleType, tmp_path: Path) -> None:
    result = marks.nap.delay(600)
    for _ in range(4):  # more often than a message may be lost
        before = sum(marks.read(tmp_path)["begin"].values())
        with worker(tmp_path, "marks:app", "--grace", "600") as running:
            until(lambda before=before: sum(marks.read(tmp_path)["begin"].values()) > before, "it began")  # type: ignore[misc]
            running.signal(signal.SIGTERM)
            until(lambda: "stopping" in running.said(), "the first signal arrived")
            assert running.stop() == 0
        assert result.status == "queued"


def test_a_hangup_rolls_the_children_to_new_code_while_the_supervisor_stays(marks: ModuleType, tmp_path: Path) -> None:
    with worker(tmp_path, "marks:app") as running:
        slow = marks.nap.delay(4)
        until(lambda: marks.read(tmp_path)["begin"], "the slow one began")
        code = (tmp_path / "marks.py").read_text()
        (tmp_path / "marks.py").write_text(code.replace('return "dozed"', 'return "dozed anew"'))
        running.signal(signal.SIGHUP)
        until(lambda: "new code" in running.said(), "the worker rolled")
        until(lambda: marks.doze.delay(0).get(timeout=PATIENCE) == "dozed anew", "the new code runs")
        assert slow.get(timeout=PATIENCE) == "napped"
        assert marks.read(tmp_path)["begin"][slow.id] == 1
        assert running.process.poll() is None


def test_new_code_that_cannot_be_loaded_leaves_the_old_one_running(marks: ModuleType, tmp_path: Path) -> None:
    with worker(tmp_path, "marks:app") as running:
        (tmp_path / "marks.py").write_text("this is no Python")
        running.signal(signal.SIGHUP)
        until(lambda: "the old one stays" in running.said(), "the refusal is said")
        assert "SyntaxError" in running.said()
        assert marks.doze.delay(0).get(timeout=PATIENCE) == "dozed"


def test_two_workers_on_one_file_share_the_work_and_run_each_task_once(marks: ModuleType, tmp_path: Path) -> None:
    with worker(tmp_path, "marks:app"), worker(tmp_path, "marks:app"):
        sent, ends = 0, time.monotonic() + PATIENCE
        while len(processes(tmp_path)) < 2:  # on a busy machine the first of them may be away for a while
            assert time.monotonic() < ends, "one of them does nothing"
            assert marks.doze.map([0.001] * 500).get(timeout=PATIENCE) == ["dozed"] * 500
            sent += 500
    found = marks.read(tmp_path)
    assert set(found["begin"].values()) == {1} and len(found["begin"]) == sent


def test_an_idle_worker_starts_a_delayed_task_when_it_is_due(marks: ModuleType, tmp_path: Path) -> None:
    with worker(tmp_path, "marks:app"):
        sent = time.time()
        result = marks.doze.apply_async((0,), countdown=5)
        assert result.status == "scheduled"
        assert result.get(timeout=PATIENCE) == "dozed"
        assert time.time() - sent >= 5


def test_a_running_task_is_cancelled_in_every_kind_of_pool(marks: ModuleType, tmp_path: Path) -> None:
    with worker(tmp_path, "marks:app"):
        for task in (marks.nap, marks.grind):
            result = task.delay(PATIENCE)
            until(lambda result=result: marks.read(tmp_path)["begin"][result.id], "it began")  # type: ignore[misc]
            assert result.cancel()
            until(lambda result=result: result.status == "cancelled", "it was cancelled")  # type: ignore[misc]


def test_a_worker_without_work_uses_next_to_no_processor(marks: ModuleType, tmp_path: Path) -> None:
    with worker(tmp_path, "marks:app") as running:
        marks.doze.delay(0).get(timeout=PATIENCE)
        before, since = os.times(), processor_seconds(running.pid)
        until(lambda: os.times().elapsed - before.elapsed > 3, "three seconds passed")
        assert processor_seconds(running.pid) - since < 0.3


def processes(folder: Path) -> set[str]:
    """Where tasks have run."""
    return {line.split()[2] for line in whole_lines(folder / "marks.txt")}


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
