"""Steps of workflows: what they take from other steps, in the colour of their pool. The same in all six kinds."""

from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest
import pytest_asyncio

from polypool.core.ask import Await, Read
from polypool.core.codec import decode_any, encode
from polypool.core.error import EngineUnreachable
from polypool.core.event import Record
from polypool.core.gather import by_reference
from polypool.core.join import Flow, Input, Listed, Many, One, Ref
from polypool.core.lifecycle import State
from polypool.core.outcome import Deferred, Done, Failed, Failure, Origin
from polypool.pools.crew import Crew
from tests.conformance.pool_seen import HERE, KINDS, Bench, Open, spec

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.parametrize("kind", KINDS)]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def crew() -> AsyncIterator[Crew]:
    crew = Crew("steps_app:app", HERE)
    await crew.start()
    yield crew
    await crew.stop()


class Kept:
    """What the engine knows, and what was asked of it."""

    def __init__(self, bench: Bench, *records: Record) -> None:
        self.records = {record.id: record for record in records}
        self.asked: list[list[str]] = []
        bench.seen.answer = self.answer

    def answer(self, ask: Any) -> Any:
        assert isinstance(ask, Read | Await)
        self.asked.append(ask.ids)
        return [self.records.get(id) for id in ask.ids]


def succeeded(id: str, value: Any) -> Record:
    return Record(id, State.SUCCEEDED, "earlier", value=encode(value))


def members(base: str, values: Iterable[Any]) -> list[Record]:
    return [succeeded(f"{base}-{index}", value) for index, value in enumerate(values)]


def taking(*refs: Ref, is_failure: bool = False, **named: Ref) -> Flow:
    return Flow(
        inputs=(
            *(Input(ref, is_failure=is_failure) for ref in refs),
            *(Input(ref, name) for name, ref in named.items()),
        )
    )


async def run(bench: Bench, task: str, flow: Flow, *args: Any, **kwargs: Any) -> Any:
    (outcome,) = await bench.ended(bench.give_step(f"steps_app.{bench.coloured(task)}", flow, list(args), kwargs))
    return outcome


async def value(bench: Bench, task: str, flow: Flow, *args: Any, **kwargs: Any) -> Any:
    outcome = await run(bench, task, flow, *args, **kwargs)
    assert isinstance(outcome, Done), outcome
    return decode_any(outcome.value)


async def test_results_of_other_steps_come_first_and_by_name_beside_the_steps_own(opened: Open, kind: str) -> None:
    async with opened(spec(kind)) as bench:
        kept = Kept(bench, succeeded("a", 1), succeeded("b", "two"), succeeded("c", [3]))
        flow = taking(One("a"), One("b"), third=One("c"))
        assert await value(bench, "shows", flow, "own", fourth=4) == [[1, "two", "own"], {"third": [3], "fourth": 4}]
        assert kept.asked == [["a", "b", "c"]], "with one ask"


async def test_results_are_typed_by_the_annotation_of_their_parameter(opened: Open, kind: str) -> None:
    async with opened(spec(kind)) as bench:
        Kept(bench, succeeded("a", 1), succeeded("b", {"x": 2, "y": 3}))
        assert await value(bench, "adds", taking(One("a"), One("b")), 4) == ["Point", 10]
        outcome = await run(bench, "adds", taking(One("b"), One("a")))
        assert isinstance(outcome, Failed)
        assert outcome.failure.type == "polypool.core.error.ArgumentError"
        assert "a: expected `int`, got `object`" in outcome.failure.message


async def test_up_to_a_thousand_values_come_as_a_list(opened: Open, kind: str) -> None:
    async with opened(spec(kind)) as bench:
        kept = Kept(bench, *members("g", range(1000)))
        found = await value(bench, "shows", taking(Many("g", 1000)))
        assert found == [[list(range(1000))], {}]
        assert len(kept.asked) == 1
        assert await value(bench, "totals_list", taking(Many("g", 10))) == ["list", 45]


async def test_more_values_are_read_as_they_are_used(opened: Open, kind: str) -> None:
    async with opened(spec(kind)) as bench:
        kept = Kept(bench, *members("g", range(3500)))
        assert await value(bench, "totals", taking(Many("g", 3500))) == ["Values", sum(range(3500))]
        assert [len(ids) for ids in kept.asked] == [1000, 1000, 1000, 500]


async def test_a_step_that_wants_a_list_gets_all_of_them_in_one(opened: Open, kind: str) -> None:
    async with opened(spec(kind)) as bench:
        Kept(bench, *members("g", range(2100)))
        assert await value(bench, "totals_list", taking(Many("g", 2100))) == ["list", sum(range(2100))]


async def test_many_values_have_a_length_an_index_and_slices_and_are_typed(opened: Open, kind: str) -> None:
    async with opened(spec(kind)) as bench:
        Kept(bench, *members("g", ({"x": index, "y": -index} for index in range(2500))))
        assert await value(bench, "picks", taking(Many("g", 2500))) == [2500, 2499, [-1, -701, -1401]]


async def test_values_of_a_group_that_another_step_passes_on_are_read_where_they_are(opened: Open, kind: str) -> None:
    async with opened(spec(kind)) as bench:
        gathered = Record("w", State.SUCCEEDED, "earlier", value=by_reference(One("w~")))
        group = Record("w~", State.SUCCEEDED, "earlier", value=by_reference(Many("g", 1500)))
        kept = Kept(bench, gathered, group, *members("g", [1] * 1500))
        assert await value(bench, "totals", taking(One("w"))) == ["Values", 1500]
        assert [len(ids) for ids in kept.asked] == [1, 1, 1000, 500]


async def test_a_long_list_of_single_steps_is_read_as_it_is_used(opened: Open, kind: str) -> None:
    async with opened(spec(kind)) as bench:
        refs = tuple(One(f"g-{index}") for index in range(1200))
        Kept(bench, *members("g", range(1200)))
        assert await value(bench, "totals", taking(Listed(refs))) == ["Values", sum(range(1200))]
        assert await value(bench, "totals_list", taking(Listed(refs[:3]))) == ["list", 3]


async def test_what_is_no_longer_kept_ends_the_step_and_is_named(opened: Open, kind: str) -> None:
    async with opened(spec(kind)) as bench:
        Kept(bench, succeeded("a", 1))
        outcome = await run(bench, "shows", taking(One("a"), One("gone")))
        assert isinstance(outcome, Failed)
        assert outcome.failure.type == "polypool.core.error.InputMissing"
        assert "step gone" in outcome.failure.message
        assert "result_ttl" in outcome.failure.message


async def test_what_has_not_succeeded_ends_the_step_and_is_named(opened: Open, kind: str) -> None:
    async with opened(spec(kind)) as bench:
        Kept(bench, Record("a", State.CANCELLED, "earlier"))
        outcome = await run(bench, "shows", taking(One("a")))
        assert isinstance(outcome, Failed)
        assert "step a (earlier)" in outcome.failure.message
        assert "cancelled" in outcome.failure.message


async def test_a_step_that_cannot_read_because_the_engine_is_away_goes_back_uncounted(opened: Open, kind: str) -> None:
    async with opened(spec(kind)) as bench:

        def away(ask: Any) -> Any:
            raise EngineUnreachable("gone fishing")

        bench.seen.answer = away
        outcome = await run(bench, "shows", taking(One("a")))
        assert isinstance(outcome, Deferred)
        assert outcome.until is not None


async def test_an_error_callback_gets_the_step_that_failed(opened: Open, kind: str) -> None:
    async with opened(spec(kind)) as bench:
        failure = Failure("ValueError", "no", "Traceback", Origin("w-3", "member"))
        Kept(
            bench,
            Record("w", State.FAILED, "body", failure=failure),
            Record("x", State.FAILED, "body", failure=Failure("app.Bad", "so")),
        )
        flow = taking(One("w"), is_failure=True)
        assert await value(bench, "explains", flow) == ["FailedStep", "w-3", "member", "builtins.ValueError", "no", "w"]
        flow = taking(One("x"), is_failure=True)
        assert await value(bench, "explains", flow) == ["FailedStep", "x", "body", "app.Bad", "so", "x"]


async def test_a_plain_loop_over_many_values_on_an_event_loop_says_what_to_write(opened: Open, kind: str) -> None:
    if kind not in ("asyncio", "solo", "prefork"):
        pytest.skip("no loop")
    async with opened(spec(kind)) as bench:
        Kept(bench, *members("g", range(1500)))
        (outcome,) = await bench.ended(bench.give_step("steps_app.forgets_async", taking(Many("g", 1500))))
        assert isinstance(outcome, Failed)
        assert "async for value in values" in outcome.failure.message
        (outcome,) = await bench.ended(bench.give_step("steps_app.streams_async", taking(Many("g", 5))))
        assert decode_any(outcome.value) == [0, 1, 2, 3, 4], "a parameter for `async for` never gets a list"
