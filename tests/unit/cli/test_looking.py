"""What status, queues, tasks and result show of an engine."""

import sqlite3
import time
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from polypool.brokers.memory import MemoryEngine
from polypool.cli.table import Row, Table, columns, drawn
from polypool.core.message import Lane
from polypool.core.report import PoolReport
from tests.unit.cli.conftest import Typed
from tests.unit.cli.seeding import fail, kill, message, put, succeed, work
from tests.unit.observe.measured import one_by_one


def test_status_shows_workers_pools_queues_tasks_and_advice(polypool: Typed, engine: MemoryEngine) -> None:
    work(engine, [one_by_one("scan.answer", "prefork", wall=41.6, share=0.03)])
    put(engine, message("a"), message("b", lane=Lane("fast", "asyncio")))
    came = polypool("status")
    assert came.status == 0
    for said in ("w1", "90.0 s", "now", "61 MB", "scan.answer", "41.6 s", "3 %", 'pool="asyncio"', "longest wait"):
        assert said in came.out, f"{said!r} is missing in:\n{came.out}"
    assert "\x1b" not in came.out, "colours go to terminals only"


def test_status_as_json_has_the_documented_keys(polypool: Typed, engine: MemoryEngine) -> None:
    work(engine, [one_by_one("scan.answer", "prefork", wall=2.0, share=0.03)])
    put(engine, message("a"))
    seen = polypool("status", "--json").json
    assert seen.keys() == {"engine", "at", "workers", "queues", "tasks", "advice"}
    assert seen["engine"] == "seen://"
    (worker,) = seen["workers"]
    assert worker["name"] == "w1" and worker["is_alive"] is True
    assert worker["pools"][0] == {"kind": "threads", "children": 1, "slots": 32, "running": 5, "memory": 61_000_000}
    (task,) = seen["tasks"]
    assert (task["runs"], task["mean_wall"], task["concurrency"]) == (100, 2.0, pytest.approx(1.0))
    (lane,) = seen["queues"]
    assert (lane["queue"], lane["pool"], lane["queued"]) == ("default", "threads", 1)
    (finding,) = seen["advice"]
    assert finding.keys() == {"task", "pool", "severity", "evidence", "change"}


def test_status_of_an_engine_where_nothing_happened_says_how_to_begin(polypool: Typed, engine: MemoryEngine) -> None:
    came = polypool("status")
    assert came.status == 0
    assert "workers: none; start one: polypool worker MODULE:APP" in came.out
    assert "none has run yet" in came.out


def test_queues_counts_what_waits_by_lane(polypool: Typed, engine: MemoryEngine) -> None:
    put(engine, message("a"), message("b"), message("c", due=time.time() + 3600))
    (lane,) = polypool("queues", "--json").json["queues"]
    assert (lane["queued"], lane["scheduled"], lane["running"]) == (2, 1, 0)
    lines = polypool("queues").out.splitlines()
    assert lines[1].split()[:5] == ["queue", "pool", "queued", "scheduled", "running"]
    assert lines[2].split()[:5] == ["default", "threads", "2", "1", "0"]


def test_tasks_names_the_task_in_the_wrong_pool(polypool: Typed, engine: MemoryEngine) -> None:
    work(engine, [one_by_one("scan.shrink", "asyncio", wall=0.3, share=0.95)])
    came = polypool("tasks")
    assert "warning: scan.shrink on asyncio: 300 ms a run, 95 % of it CPU, over 100 runs" in came.out
    assert '→ pool="prefork"' in came.out


def test_tasks_takes_the_pools_sizes_into_account(polypool: Typed, engine: MemoryEngine) -> None:
    slow = one_by_one("scan.rule", "threads", wall=0.5, share=0.0, wait=30.0)
    work(engine, [slow], [PoolReport("threads", 1, 1, 1)])
    assert "polypool worker --pool threads=2" in polypool("tasks").out


def test_counts_that_are_nought_for_all_tasks_take_no_room(polypool: Typed, engine: MemoryEngine) -> None:
    tally = one_by_one("scan.vision", "asyncio", wall=2_000.0, share=0.01)
    work(engine, [tally])
    shown = polypool("tasks").out
    assert "succeeded" in shown and "lost" not in shown and "retried" not in shown
    assert "> 21 min" in shown
    tally.lost += 1
    work(engine, [tally])
    assert "lost" in polypool("tasks").out


def test_tasks_says_when_there_is_nothing_to_change(polypool: Typed, engine: MemoryEngine) -> None:
    assert "No advice before there are runs" in polypool("tasks").out
    work(engine, [one_by_one("scan.vision", "asyncio", wall=2.0, share=0.01)])
    assert "Nothing to change" in polypool("tasks").out


def test_result_shows_what_a_task_returned(polypool: Typed, engine: MemoryEngine) -> None:
    succeed(engine, "a1", {"label": "glass", "raw": b"\x00\x01"})
    came = polypool("result", "a1")
    assert came.status == 0
    assert "succeeded" in came.out and "1.5 s" in came.out and '"label": "glass"' in came.out
    seen = polypool("result", "a1", "--json").json
    assert (seen["id"], seen["state"], seen["value"]["label"], seen["wall"]) == ("a1", "succeeded", "glass", 1.5)


def test_result_of_a_failed_task_shows_its_traceback_and_exits_with_one(polypool: Typed, engine: MemoryEngine) -> None:
    fail(engine, "a1")
    came = polypool("result", "a1")
    assert came.status == 1
    assert "builtins.ValueError: no such bin" in came.out and 'File "scan.py", line 3' in came.out
    assert polypool("result", "a1", "--json").json["failure"]["type"] == "builtins.ValueError"


def test_result_of_a_task_that_waits_exits_with_three(polypool: Typed, engine: MemoryEngine) -> None:
    put(engine, message("a1"))
    assert polypool("result", "a1").status == 3
    assert polypool("result", "a1", "--wait", "0.05").status == 3


def test_result_of_an_unknown_task_is_one_line_and_a_hint(polypool: Typed, engine: MemoryEngine) -> None:
    for words in (("result", "never"), ("result", "never", "--wait")):
        came = polypool(*words)
        assert came.status == 1
        assert came.err.startswith("polypool: nothing is known of a task 'never'")
        assert "never sent" in came.err and "Traceback" not in came.err


def test_dead_letters_are_marked_in_their_result(polypool: Typed, engine: MemoryEngine) -> None:
    kill(engine, "a1")
    assert polypool("result", "a1", "--json").json["is_dead"] is True


class TestWhichEngine:
    def test_nothing_said_is_answered_with_the_ways_to_say_it(self, polypool: Typed) -> None:
        came = polypool("status")
        assert came.status == 2
        for way in ("--broker URL", "--app MODULE:APP", "POLYPOOL_BROKER", "polypool.db"):
            assert way in came.err

    def test_a_store_that_is_not_there_is_not_made_by_looking(self, polypool: Typed, folder: Path) -> None:
        came = polypool("status", "--broker", "sqlite:///nowhere.db")
        assert came.status == 1
        assert f"there is no {folder / 'nowhere.db'} yet" in came.err
        assert list(folder.iterdir()) == []

    def test_an_engine_nobody_knows_is_answered_with_those_there_are(self, polypool: Typed) -> None:
        came = polypool("queues", "--broker", "carrier-pigeon://")
        assert came.status == 2
        assert "sqlite://" in came.err and "Traceback" not in came.err

    def test_memory_cannot_be_looked_into_from_outside(self, polypool: Typed) -> None:
        came = polypool("status", "--broker", "memory://")
        assert came.status == 2 and "inside one process" in came.err

    def test_a_file_that_is_no_store_is_called_damaged_in_one_line(self, polypool: Typed, folder: Path) -> None:
        (folder / "polypool.db").write_bytes(b"not a database " * 100)
        came = polypool("status")
        assert came.status == 1
        assert "polypool.db" in came.err and "Traceback" not in came.err

    def test_the_usual_file_beside_is_looked_at(self, polypool: Typed, folder: Path) -> None:
        sqlite3.connect(folder / "polypool.db").close()
        came = polypool("status", "--json")
        assert came.status == 0, came.err
        assert came.json["engine"] == "sqlite:///polypool.db"

    def test_an_app_named_is_looked_up_before_the_environment(
        self, polypool: Typed, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (folder / "shop_seen.py").write_text(
            "from polypool import Polypool\napp = Polypool('s', broker='sqlite:///s.db')\n"
        )
        monkeypatch.setenv("POLYPOOL_BROKER", "sqlite:///other.db")
        assert "s.db yet" in polypool("status", "shop_seen:app").err
        assert "s.db yet" in polypool("status", "--app", "shop_seen:app").err
        assert "other.db yet" in polypool("status").err


def test_on_a_narrow_terminal_an_id_stays_whole_and_other_columns_give_way() -> None:
    long = "01a1fdd8da1c7009a2e1af715537d135"
    row = Row((long, "3 × (wait → add) → total → group of 2", "succeeded", "6.96 min ago", "3.01 ms"))
    console = Console(width=80, file=StringIO(), record=True)
    console.print(drawn([Table("workflows", columns("id", "steps", "state", ">sent", ">took"), (row,))]))
    shown = console.export_text()
    assert long in shown
    assert "succeeded" in shown
    assert max(len(line.rstrip()) for line in shown.splitlines()) <= 80
