"""The dead letters on the command line, and purge."""

import pytest

from polypool.brokers.memory import MemoryEngine
from polypool.core.message import Lane
from tests.unit.cli.conftest import Typed
from tests.unit.cli.seeding import kill, message, put, work


@pytest.fixture
def three_dead(engine: MemoryEngine) -> MemoryEngine:
    kill(engine, "d1")
    kill(engine, "d2", task="scan.vision")
    kill(engine, "d3", lane=Lane("fast", "threads"))
    return engine


def dead_ids(polypool: Typed, *words: str) -> set[str]:
    return {letter["id"] for letter in polypool("dead", "list", "--json", *words).json["dead"]}


def test_list_shows_each_with_its_reason(polypool: Typed, three_dead: MemoryEngine) -> None:
    came = polypool("dead", "list")
    assert came.status == 0
    assert all(id in came.out for id in ("d1", "d2", "d3"))
    assert "unknown task 'scan.rule'; deploy the code that has it" in came.out


def test_list_narrows_by_queue_task_and_number(polypool: Typed, three_dead: MemoryEngine) -> None:
    assert dead_ids(polypool) == {"d1", "d2", "d3"}
    assert dead_ids(polypool, "--queue", "fast") == {"d3"}
    assert dead_ids(polypool, "--task", "scan.vision") == {"d2"}
    assert len(dead_ids(polypool, "--limit", "2")) == 2


def test_show_tells_what_it_was_called_with(polypool: Typed, three_dead: MemoryEngine) -> None:
    came = polypool("dead", "show", "d1")
    assert came.status == 0
    assert 'args [1,"two"]' in came.out and 'kwargs {"key":3}' in came.out
    assert "polypool dead requeue d1" in came.out
    (letter,) = polypool("dead", "show", "d1", "--json").json["dead"]
    assert (letter["args"], letter["kwargs"], letter["queue"]) == ([1, "two"], {"key": 3}, "default")


def test_show_of_one_whose_bytes_mean_nothing_still_shows_the_reason(polypool: Typed, engine: MemoryEngine) -> None:
    kill(engine, "d1", args=b"\xc1\xc1")
    came = polypool("dead", "show", "d1")
    assert came.status == 0
    assert "cannot be decoded" in came.out


@pytest.mark.parametrize("words", [("show", "d9"), ("requeue", "d9"), ("purge", "d9", "--yes")])
def test_an_id_that_is_not_dead_is_said_so(polypool: Typed, three_dead: MemoryEngine, words: tuple[str, ...]) -> None:
    came = polypool("dead", *words)
    assert came.status == 1
    assert "no dead letter has the id 'd9'" in came.err and "dead list" in came.err


def test_requeue_lets_those_named_run_again(polypool: Typed, three_dead: MemoryEngine) -> None:
    assert polypool("dead", "requeue", "d1", "d2", "--json").json == {"engine": "seen://", "count": 2}
    assert dead_ids(polypool) == {"d3"}
    (lane,) = [lane for lane in polypool("queues", "--json").json["queues"] if lane["queue"] == "default"]
    assert lane["queued"] == 2


def test_requeue_of_nothing_named_asks_which_rather_than_taking_all(polypool: Typed, three_dead: MemoryEngine) -> None:
    came = polypool("dead", "requeue")
    assert came.status == 2 and "--all" in came.err
    assert len(dead_ids(polypool)) == 3
    assert polypool("dead", "requeue", "--all").out == "3 requeued\n"
    assert dead_ids(polypool) == set()


def test_ids_and_all_together_are_refused(polypool: Typed, three_dead: MemoryEngine) -> None:
    assert polypool("dead", "purge", "d1", "--all", "--yes").status == 2
    assert len(dead_ids(polypool)) == 3


def test_purge_asks_before_and_deletes_nothing_without_a_yes(
    polypool: Typed, three_dead: MemoryEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter(["n", "y"])
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: next(answers))
    assert polypool("dead", "purge", "--task", "scan.vision").status != 0
    assert len(dead_ids(polypool)) == 3
    assert polypool("dead", "purge", "--task", "scan.vision").out == "1 deleted\n"
    assert dead_ids(polypool) == {"d1", "d3"}


def test_purge_with_yes_does_not_ask(polypool: Typed, three_dead: MemoryEngine) -> None:
    assert polypool("dead", "purge", "--yes").out == "3 deleted\n"
    assert dead_ids(polypool) == set()


def test_purging_a_queue_leaves_the_dead_and_the_other_queues(polypool: Typed, three_dead: MemoryEngine) -> None:
    put(three_dead, message("a"), message("b"), message("c", lane=Lane("fast", "threads")))
    assert polypool("purge", "default", "--yes").out == "2 deleted from default\n"
    assert len(dead_ids(polypool)) == 3
    (lane,) = polypool("queues", "--json").json["queues"]
    assert (lane["queue"], lane["queued"]) == ("fast", 1)


def test_purging_asks_with_the_number_that_would_go(
    polypool: Typed, engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(engine, message("a"), message("b"))
    asked: list[str] = []
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda prompt: asked.append(prompt) or "n")
    came = polypool("purge", "default")
    assert came.status != 0
    assert "2 messages" in came.err + "".join(asked)
    assert polypool("queues", "--json").json["queues"][0]["queued"] == 2


def test_purging_a_queue_nobody_knows_names_the_nearest(polypool: Typed, engine: MemoryEngine) -> None:
    work(engine)
    came = polypool("purge", "defualt", "--yes")
    assert came.status == 2 and "did you mean 'default'?" in came.err
    assert polypool("purge", "fast", "--yes").out == "0 deleted from fast\n", "served and empty is no error"
