"""The command line as people use it: real workers, real commands, pipes and terminals."""

import os
import re
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

from tests.whole.terminals import COMMAND, on_terminal, polypool
from tests.whole.workers import PATIENCE, WorkerProcess, until, worker

APP = "marks:app"


def test_a_task_that_is_called_answers_with_its_result_as_json(marks: ModuleType, tmp_path: Path) -> None:
    with worker(tmp_path, APP):
        came = polypool(tmp_path, "call", APP, "nap", "[0.01]", "--wait", "60")
        assert (came.status, came.out) == (0, '"napped"\n'), came.err
        id = polypool(tmp_path, "call", APP, "marks.doze", '{"seconds": 0}').out.strip()
        waited = polypool(tmp_path, "result", id, "--app", APP, "--wait", "60", "--json")
        assert waited.status == 0
        assert (waited.json["state"], waited.json["value"], waited.json["task"]) == ("succeeded", "dozed", "marks.doze")


def test_a_task_that_failed_exits_with_one_and_its_traceback(marks: ModuleType, tmp_path: Path) -> None:
    with worker(tmp_path, APP):
        came = polypool(tmp_path, "call", APP, "doze", "[-1]", "--wait", "60")
    assert came.status == 1
    assert came.out == ""
    assert "ValueError: sleep length must be non-negative" in came.err.splitlines()[0]
    assert re.search(r'marks\.py", line \d+, in doze', came.err)
    assert "polypool/pools" not in came.err, "our own frames are of no use to them"


def test_status_shows_a_worker_at_work_and_what_its_tasks_took(marks: ModuleType, tmp_path: Path) -> None:
    with worker(tmp_path, APP, "-Q", "default,fast", "--pool", "asyncio=2x100", "--name", "one") as running:
        napping = marks.nap.delay(600)
        until(lambda: marks.read(tmp_path)["begin"], "the nap began")
        for _ in range(3):
            assert marks.grind.delay(0.05).get(timeout=PATIENCE) == "ground"

        def seen() -> bool:
            status = polypool(tmp_path, "status", APP, "--json").json
            (one,) = status["workers"]
            pools = {pool["kind"]: pool for pool in one["pools"]}
            return (
                one["name"] == "one"
                and one["is_alive"]
                and one["pid"] == running.pid
                and one["queues"] == ["default", "fast"]
                and one["holds"] == 1
                and (pools["asyncio"]["children"], pools["asyncio"]["slots"]) == (2, 200)
                and pools["asyncio"]["running"] == 1
                and {task["task"]: task["succeeded"] for task in status["tasks"]} == {"marks.grind": 3}
            )

        until(seen, "status tells all of it")
        (lane,) = polypool(tmp_path, "queues", APP, "--json").json["queues"]
        assert (lane["pool"], lane["queued"], lane["running"]) == ("asyncio", 0, 1)
        assert napping.cancel()
        assert running.stop() == 0
    assert polypool(tmp_path, "status", APP, "--json").json["workers"] == [], "it said goodbye"


def test_a_task_that_blocks_the_loop_is_named_by_the_advice(marks: ModuleType, tmp_path: Path) -> None:
    with worker(tmp_path, APP):
        assert marks.block.delay(5).get(timeout=PATIENCE) == "blocked"
        until(
            lambda: "warning: marks.block on asyncio: blocked its event loop" in polypool(tmp_path, "tasks", APP).out,
            "advice names it",
        )


def test_dead_letters_are_looked_at_requeued_and_purged(marks: ModuleType, tmp_path: Path) -> None:
    with worker(tmp_path, APP, "--pool", "prefork=1"):
        id = polypool(tmp_path, "call", APP, "crash").out.strip()
        until(lambda: polypool(tmp_path, "dead", "list", APP, "--json").json["dead"], "it is dead")
        shown = polypool(tmp_path, "dead", "show", id, "--app", APP)
        assert shown.status == 0 and "SIGSEGV" in shown.out
        runs = marks.read(tmp_path)["begin"][id]
        assert polypool(tmp_path, "dead", "requeue", id, "--app", APP).out == "1 requeued\n"
        until(lambda: marks.read(tmp_path)["begin"][id] > runs, "it runs again")
        until(lambda: polypool(tmp_path, "dead", "list", APP, "--json").json["dead"], "it is dead again")
    refused = polypool(tmp_path, "dead", "purge", "--app", APP)
    assert refused.status != 0, "nobody is there to say yes"
    assert polypool(tmp_path, "dead", "purge", "--yes", "--app", APP).out == "1 deleted\n"
    assert polypool(tmp_path, "result", id, "--app", APP).status == 1


def test_purging_a_queue_throws_away_what_waits(marks: ModuleType, tmp_path: Path) -> None:
    sent = [marks.nap.delay(0), marks.doze.apply_async((0,), countdown=3600)]
    assert polypool(tmp_path, "purge", "default", "--yes", "--app", APP).out == "2 deleted from default\n"
    assert [result.status for result in sent] == ["unknown"] * 2


def test_on_a_terminal_tables_are_drawn_in_colour_and_in_a_pipe_they_are_not(marks: ModuleType, tmp_path: Path) -> None:
    marks.nap.delay(0)
    drawn = on_terminal(tmp_path, "queues", APP, until=lambda _: False)
    assert drawn.status == 0
    assert "\x1b[" in drawn.out and "────" in drawn.out and "asyncio" in drawn.out
    piped = polypool(tmp_path, "queues", APP)
    assert "\x1b" not in piped.out and "─" not in piped.out and "asyncio" in piped.out


def test_watching_refreshes_until_interrupted(marks: ModuleType, tmp_path: Path) -> None:
    marks.nap.delay(0)

    def two_looks(shown: str) -> bool:
        if shown.count("asyncio") == 1:
            marks.doze.delay(0)  # is only seen by looking again
        return "threads" in shown

    watched = on_terminal(tmp_path, "queues", APP, "--watch", "0.2", until=two_looks)
    assert watched.status == 0
    assert "Traceback" not in watched.out


def test_a_worker_whose_app_is_misnamed_ends_with_the_nearest(marks: ModuleType, tmp_path: Path) -> None:
    started = WorkerProcess(tmp_path, "marks:ap")
    assert started.process.wait(PATIENCE) == 2
    assert "marks:app" in started.said()
    assert "Traceback" not in started.said()


def test_a_worker_whose_module_fails_to_import_ends_with_the_place(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import not_installed_anywhere\n")
    started = WorkerProcess(tmp_path, "broken:app")
    assert started.process.wait(PATIENCE) == 2
    assert "not_installed_anywhere" in started.said() and "broken.py" in started.said()
    assert "polypool/worker" not in started.said(), "our own frames are of no use to them"


def test_the_supervisor_never_imports_the_app(marks: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "marks.py"
    path.write_text(path.read_text() + "\nwith open('importers.txt', 'a') as file: print(os.getpid(), file=file)\n")
    with worker(tmp_path, APP) as running:
        assert marks.doze.delay(0).get(timeout=PATIENCE) == "dozed"
    importers = {int(pid) for pid in (tmp_path / "importers.txt").read_text().split()}
    assert importers
    assert running.pid not in importers


def test_reload_rolls_to_code_that_was_changed(marks: ModuleType, tmp_path: Path) -> None:
    pytest.importorskip("watchfiles")
    with worker(tmp_path, APP, "--reload") as running:
        assert marks.doze.delay(0).get(timeout=PATIENCE) == "dozed"
        code = (tmp_path / "marks.py").read_text()
        (tmp_path / "marks.py").write_text(code.replace('return "dozed"', 'return "dozed anew"'))
        until(lambda: marks.doze.delay(0).get(timeout=PATIENCE) == "dozed anew", "the new code runs")
        assert "marks.py changed" in running.said()
        assert running.stop() == 0


def test_an_engine_that_cannot_be_opened_is_one_line_and_a_hint(marks: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    came = polypool(tmp_path, "check", APP, "--broker", "sqlite:///file/marks.db")
    assert came.status == 1
    assert "✗ engine" in came.out and "Traceback" not in came.out + came.err


def test_check_passes_an_app_that_a_worker_can_start(marks: ModuleType, tmp_path: Path) -> None:
    came = polypool(tmp_path, "check", APP)
    assert came.status == 0, came.out
    assert "polypool worker marks:app" in came.out


def test_what_reads_only_the_beginning_does_not_upset_a_command(marks: ModuleType, tmp_path: Path) -> None:
    marks.nap.delay(0)
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(
        [*COMMAND, "queues", APP], cwd=tmp_path, stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    assert ended.stderr == ""
