"""polypool workflow: trees, lists, and what can be done about a workflow."""

import time
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from polypool.brokers.memory import MemoryEngine
from polypool.canvas.shape import Bulk, Chain, Chord, Group
from polypool.cli.table import drawn
from polypool.cli.workflow.drawn import blocks
from polypool.cli.workflow.list import told
from polypool.results.surveying import survey
from polypool.testing.stepping import answered_at_once
from tests.unit.cli.conftest import Typed
from tests.unit.cli.seeding import message, put
from tests.unit.flows import Hands, boom, call, returns

SCAN = Chain(
    (call("vision", 1), Group(tuple(call("rule") for _ in range(3))), call("merge")), on_failure=(call("tell"),)
)


@pytest.fixture
def hands(engine: MemoryEngine) -> Hands:
    return Hands(engine)


def lines_of(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


class TestShow:
    def test_a_workflow_is_a_tree_with_states_and_times(self, polypool: Typed, hands: Hands) -> None:
        hands.put(SCAN, now=time.time() - 60)
        hands.run_all(W_1_1=boom)
        came = polypool("workflow", "show", "W")
        assert came.status == 0, came.err
        assert came.out.startswith("workflow W: failed, sent 60.0 s ago:\n")
        lines = lines_of(came.out)
        assert ["●", "├─", "vision", ".0", "succeeded", "59.5", "s", "400", "ms"] in lines
        assert ["├─", "3", "×", "rule", ".1", "2", "succeeded,", "1", "failed", "0", "s", "400", "ms"] in lines
        assert ["●", "│", "├─", "rule", ".1-1", "failed", "0", "s", "400", "ms"] in lines
        assert ["├─", "merge", "failed,", "not", "run"] in lines
        assert ["└─", "on", "failure:", "tell", "!0", "succeeded", "0", "s", "400", "ms"] in lines
        assert "rule W.1-1: ValueError: boom in W.1-1" in came.out
        assert "polypool workflow retry W" in came.out
        assert "59.5 s queued (99 %), 800 ms running" in came.out
        assert "The longest wait for a free slot: vision, 59.5 s" in came.out

    def test_it_works_while_the_workflow_runs(self, polypool: Typed, hands: Hands) -> None:
        hands.put(SCAN, now=time.time() - 60)
        came = polypool("workflow", "show", "W")
        assert "workflow W: queued" in came.out and "So far 60.0 s: 60.0 s queued (100 %)" in came.out
        assert ["●", "├─", "vision", ".0", "queued", "60.0", "s"] in lines_of(came.out)
        assert "retry" not in came.out

    def test_a_plain_task_is_shown_alone(self, polypool: Typed, engine: MemoryEngine) -> None:
        put(engine, message("a1"))
        came = polypool("workflow", "show", "a1")
        assert "task a1: queued" in came.out
        assert len(lines_of(came.out.partition("\n\n")[0])) == 3

    def test_a_part_names_the_workflow_that_it_belongs_to(self, polypool: Typed, hands: Hands) -> None:
        hands.put(SCAN)
        assert "workflow W.1 (a part of workflow W): " in polypool("workflow", "show", "W.1").out

    def test_returned_workflows_and_large_groups(self, polypool: Typed, hands: Hands) -> None:
        hands.put(Chain((call("vision"), Group(tuple(call("rule") for _ in range(30))), call("merge"))))
        hands.run(W_0=returns(Group((call(), call()))))
        hands.run_all(W_1_7=boom)
        out = polypool("workflow", "show", "W").out
        assert "returned: 2 × double" in out and ".0~-1" in out
        assert "30 × rule" in out and "29 succeeded, 1 failed" in out and "rule (the first that failed)" in out
        assert out.count("rule") < 10
        assert polypool("workflow", "show", "W", "--members", "30").out.count("─ rule ") == 30

    def test_json_has_the_documented_keys(self, polypool: Typed, hands: Hands) -> None:
        hands.put(SCAN)
        hands.run_all(W_1_1=boom)
        seen = polypool("workflow", "show", "W", "--json").json
        assert seen.keys() == {"workflow", "at", "sent", "root", "path", "queued", "running", "waiting", "total"}
        assert seen["path"] == ["W.0", "W.1-1", "W"]
        root = seen["root"]
        assert root.keys() == {
            *("id", "kind", "role", "name", "task", "state", "ready", "started", "ended", "queued", "running", "run"),
            *("taken_from", "error", "because", "count", "counts", "work", "is_folded", "stands_out", "children"),
        }
        assert (root["kind"], root["state"], root["because"]) == ("chain", "failed", "W.1-1")
        assert root["children"][1]["counts"] == {"succeeded": 2, "failed": 1}

    @pytest.mark.parametrize("width", [40, 56, 80, 100, 120])
    def test_the_table_fits_a_narrow_terminal(self, engine: MemoryEngine, hands: Hands, width: int) -> None:
        long = call("vision", name="what-the-third-camera-behind-the-second-belt-sees")
        hands.put(Chain((Group((long, call())), call())), "W" * 32)
        hands.run_all()
        table, *_ = blocks(held(engine, "W" * 32), width)
        console = Console(width=width, file=StringIO(), record=True)
        console.print(drawn([table]))
        shown = console.export_text().splitlines()
        rows = [line for line in shown if line.startswith(" ") and "succeeded" in line]
        assert len(rows) == 5, "one line a step"
        assert max(len(row.rstrip()) for row in rows) <= width
        assert sum("vision" in row for row in rows) == 1

    def test_an_unknown_id_is_told_in_one_line(self, polypool: Typed, engine: MemoryEngine) -> None:
        came = polypool("workflow", "show", "nobody")
        assert (came.status, came.out) == (1, "")
        assert came.err.startswith("polypool: no task nobody is known: it was never sent")


def held(engine: MemoryEngine, id: str) -> Any:
    conversation = survey(id, time.time())
    try:
        ask = next(conversation)
        while True:
            ask = conversation.send(answered_at_once(engine, ask))
    except StopIteration as end:
        return end.value


class TestList:
    def test_those_sent_last_stand_first(self, polypool: Typed, hands: Hands, engine: MemoryEngine) -> None:
        hands.put(SCAN, "A", time.time() - 60)
        hands.put(Chain((call(), call())), "B", time.time() - 30)
        put(engine, message("plain"), message("plain-1"))
        hands.run(B_0=boom)
        hands.run(B=boom)
        came = polypool("workflow", "list")
        assert [line[:1] for line in lines_of(came.out)[2:]] == [["B"], ["A"]]
        assert "vision → 3 × rule → merge" in came.out and "double → double" in came.out
        first, second = polypool("workflow", "list", "--json").json["workflows"]
        assert first.keys() == {"id", "what", "state", "sent_at", "ended_at"}
        assert (first["id"], first["state"], second["id"], second["ended_at"]) == ("B", "failed", "A", None)
        assert len(polypool("workflow", "list", "--limit", "1", "--json").json["workflows"]) == 1

    def test_one_that_goes_on_has_the_state_of_the_step_that_is_furthest(self, polypool: Typed, hands: Hands) -> None:
        hands.put(SCAN)
        assert polypool("workflow", "list", "--json").json["workflows"][0]["state"] == "queued"
        hands.take()
        assert polypool("workflow", "list", "--json").json["workflows"][0]["state"] == "running"

    def test_nothing_is_answered_with_a_word(self, polypool: Typed, engine: MemoryEngine) -> None:
        assert polypool("workflow", "list").out == "workflows: none among the newest messages\n"

    @pytest.mark.parametrize(
        ("shape", "text"),
        [
            (Chord(Bulk("shop.work", 1_000_000), call("total")), "1,000,000 × work → total"),
            (Chord(Bulk("shop.work"), call("total")), "many × work → total"),
            (Group((call("a"), Chain((call("b"), call("c"))))), "group of 2"),
            (Group((Chain((call("b"), call("c"))),) * 2), "2 × (b → c)"),
            (
                Chain(tuple(call("step") for _ in range(100))),
                "step → step → step → step → step → step → step → step → ste…",
            ),
        ],
    )
    def test_what_a_workflow_consists_of_is_said_in_one_line(self, shape: Any, text: str) -> None:
        assert told(shape) == text


class TestActing:
    def test_cancel_ends_all_of_it_and_says_whether_there_was_anything(self, polypool: Typed, hands: Hands) -> None:
        hands.put(SCAN)
        came = polypool("workflow", "cancel", "W")
        assert came.status == 0 and "W is cancelled" in came.out
        assert hands.run_all() == []
        again = polypool("workflow", "cancel", "W")
        assert (again.status, again.err) == (1, "polypool: all of W had ended before\n")
        assert polypool("workflow", "cancel", "W", "--json").json == {
            "engine": "seen://",
            "id": "W",
            "is_cancelled": False,
        }
        assert "never sent" in polypool("workflow", "cancel", "nobody").err

    def test_retry_sends_what_failed_and_prints_the_new_id(self, polypool: Typed, hands: Hands) -> None:
        hands.put(SCAN)
        hands.run_all(W_1_1=boom)
        came = polypool("workflow", "retry", "W")
        assert came.status == 0
        id = came.out.strip()
        assert came.err == "3 steps are sent; the results of 3 are taken over\n"
        assert hands.run_all() == [f"{id}.1-1", id]
        shown = polypool("workflow", "show", id).out
        assert f"workflow {id}: succeeded" in shown and shown.count("taken over") == 3

    def test_retry_says_when_results_are_gone(self, polypool: Typed, hands: Hands, engine: MemoryEngine) -> None:
        hands.put(SCAN)
        hands.run_all(W=boom)
        del engine.store.entries["W.1-0"]
        assert "1 that succeeded or are unknown run again" in polypool("workflow", "retry", "W").err
        seen = polypool("workflow", "retry", "W", "--json").json
        assert seen.keys() == {"engine", "id", "of", "reused", "sent", "gone"}
        assert (seen["of"], seen["reused"], seen["sent"], seen["gone"]) == ("W", 3, 3, 1)

    def test_replay_sends_all_of_it(self, polypool: Typed, hands: Hands) -> None:
        hands.put(SCAN)
        assert "has not ended" in polypool("workflow", "replay", "W").err
        hands.run_all()
        came = polypool("workflow", "replay", "W")
        assert came.err == "6 steps are sent; the results of 0 are taken over\n"
        assert len(hands.run_all()) == 5

    def test_what_cannot_be_is_one_line_that_helps(self, polypool: Typed, hands: Hands, engine: MemoryEngine) -> None:
        put(engine, message("a1"))
        came = polypool("workflow", "retry", "a1")
        assert came.status == 1
        assert came.err.startswith("polypool: scan.rule a1 is no workflow") and "Traceback" not in came.err
