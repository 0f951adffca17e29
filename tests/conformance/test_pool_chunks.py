"""Chunks: one call that runs a function for each of many items. The same in all six kinds of pool."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from polypool.core.codec import decode_any
from polypool.core.join import Flow, Input, Many
from polypool.core.message import Policy
from polypool.core.outcome import Cancelled, Done, Failed
from polypool.pools.crew import Crew
from tests.conformance.pool_seen import HERE, KINDS, PATIENCE, Bench, Open, spec, until
from tests.conformance.test_pool_steps import Kept, members

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.parametrize("kind", KINDS)]

MANY = 100_000
"""Items of a millisecond: nobody waits for the end of these."""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def crew() -> AsyncIterator[Crew]:
    crew = Crew("steps_app:app", HERE)
    await crew.start()
    yield crew
    await crew.stop()


def give(bench: Bench, task: str, items: list[Any], each: str = "item", **fields: Any) -> str:
    return bench.give_step(f"steps_app.{bench.coloured(task)}", None, [items], each=each, **fields)


async def run(bench: Bench, task: str, items: list[Any], each: str = "item") -> Any:
    (outcome,) = await bench.ended(give(bench, task, items, each))
    return outcome


async def values(bench: Bench, task: str, items: list[Any], each: str = "item") -> Any:
    outcome = await run(bench, task, items, each)
    assert isinstance(outcome, Done), outcome
    return decode_any(outcome.value)


async def test_a_chunk_runs_once_for_each_item_and_returns_the_list_of_values(opened: Open, kind: str) -> None:
    async with opened(spec(kind)) as bench:
        assert await values(bench, "doubles", list(range(3000))) == [2 * number for number in range(3000)]
        assert await values(bench, "doubles", []) == []


async def test_items_are_typed_and_tuples_spread_over_the_parameters(opened: Open, kind: str) -> None:
    async with opened(spec(kind)) as bench:
        points = [{"x": number, "y": 0} for number in range(3)]
        assert await values(bench, "moves", points) == [["Point", 1], ["Point", 2], ["Point", 3]]
        tuples = [(point, 10) for point in points]
        assert await values(bench, "moves", tuples, "tuple") == [["Point", 10], ["Point", 11], ["Point", 12]]
        mixed = [(points[0],), (points[1], 10)]
        assert await values(bench, "moves", mixed, "tuple") == [["Point", 1], ["Point", 11]]


async def test_a_bound_task_gets_itself_with_each_item(opened: Open, kind: str) -> None:
    async with opened(spec(kind)) as bench:
        name = f"steps_app.{bench.coloured('bound')}"
        assert await values(bench, "bound", [1, 2]) == [f"{name} 1", f"{name} 2"]
        assert await values(bench, "bound", [[1], [2]], "tuple") == [f"{name} 1", f"{name} 2"]


async def test_an_error_fails_the_chunk_and_names_its_item(opened: Open, kind: str) -> None:
    async with opened(spec(kind)) as bench:
        outcome = await run(bench, "divides", [1, 2, 0, 4])
        assert isinstance(outcome, Failed)
        assert outcome.failure.type == "ZeroDivisionError"
        assert "polypool: this was item 2, counted from 0" in outcome.failure.traceback


async def test_an_item_that_does_not_fit_is_named_before_any_has_run(opened: Open, kind: str) -> None:
    async with opened(spec(kind)) as bench:
        outcome = await run(bench, "doubles", [1, "two", 3])
        assert isinstance(outcome, Failed)
        assert outcome.failure.type == "polypool.core.error.ArgumentError"
        assert "number: expected `int`, got `str`" in outcome.failure.message
        assert "this was item 1, counted from 0" in outcome.failure.traceback


async def test_a_value_that_cannot_be_sent_is_named(opened: Open, kind: str) -> None:
    async with opened(spec(kind)) as bench:
        outcome = await run(bench, "returns_some", [1, 2, 3])
        assert isinstance(outcome, Failed)
        assert outcome.failure.type == "polypool.core.error.NotEncodable"
        assert "returns_some" in outcome.failure.message
        assert "item 2 returned a value of type object" in outcome.failure.message


async def test_a_chunk_takes_its_items_from_another_step(opened: Open, kind: str) -> None:
    async with opened(spec(kind)) as bench:
        Kept(bench, *members("g", range(1500)))
        flow = Flow(inputs=(Input(Many("g", 1500)),))
        name = f"steps_app.{bench.coloured('doubles')}"
        (outcome,) = await bench.ended(bench.give_step(name, flow, each="item"))
        assert decode_any(outcome.value) == [2 * number for number in range(1500)]


async def test_cancelling_ends_a_chunk_that_computes(
    opened: Open, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("polypool.pools.pool.CANCEL_PATIENCE", PATIENCE)
    async with opened(spec(kind)) as bench:
        note, pids = tmp_path / "note", bench.pool.pids()
        id = give(bench, "spins", [str(note)] * MANY)
        await until(note.exists)
        bench.pool.cancel(id)
        (outcome,) = await bench.ended(id)
        assert isinstance(outcome, Cancelled)
        assert bench.pool.pids() == pids, "by itself: its process was not killed"
        assert await values(bench, "doubles", [1]) == [2]


async def test_the_soft_timeout_ends_a_chunk_that_computes(opened: Open, kind: str, tmp_path: Path) -> None:
    async with opened(spec(kind)) as bench:
        id = give(bench, "spins", [str(tmp_path / "note")] * MANY, policy=Policy(soft_timeout=1.0))
        (outcome,) = await bench.ended(id)
        assert isinstance(outcome, Failed)
        assert outcome.failure.type == "polypool.core.error.SoftTimeout"
        assert "polypool: this was item " in outcome.failure.traceback
        assert await values(bench, "doubles", [1]) == [2]


async def test_others_on_the_same_loop_or_hub_get_their_turn_between_items(
    opened: Open, kind: str, tmp_path: Path
) -> None:
    if kind in ("prefork", "solo"):
        pytest.skip("nothing shares its thread")
    async with opened(spec(kind)) as bench:
        note = tmp_path / "note"
        id = give(bench, "spins", [str(note)] * MANY)
        await until(note.exists)
        assert await values(bench, "doubles", [21]) == [42]
        assert id not in bench.seen.outcomes
        bench.pool.cancel(id)
        await bench.ended(id)
