"""Tasks that wait for other tasks: an `async def` on a loop holds no slot meanwhile, elsewhere it is refused."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from polypool.core.ask import Ask, Await, Read
from polypool.core.codec import decode_any, encode
from polypool.core.event import Record
from polypool.core.lifecycle import State
from polypool.core.message import Policy
from polypool.core.outcome import Cancelled, Done, Failed, Outcome, TimedOut
from polypool.pools.crew import Crew
from tests.conformance.pool_seen import HERE, PATIENCE, Bench, Open, spec, until

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def crew() -> AsyncIterator[Crew]:
    crew = Crew("steps_app:app", HERE)
    await crew.start()
    yield crew
    await crew.stop()


class Endings:
    """An engine that says how tasks ended when the test says so."""

    def __init__(self, bench: Bench) -> None:
        self.waits: dict[str, Callable[[Any, Exception | None], None]] = {}
        self.given_up: list[str] = []
        self._ended: dict[str, Record] = {}
        bench.seen.asked = self.asked  # type: ignore[method-assign]

    def asked(self, ask: Ask, reply: Callable[[Any, Exception | None], None]) -> Callable[[], object]:
        assert isinstance(ask, Read | Await)
        if isinstance(ask, Read):
            known = [self._ended.get(id) or Record(id, State.QUEUED, "sub") for id in ask.ids]
            asyncio.get_running_loop().call_soon(reply, known, None)
            return list
        (id,) = ask.ids
        self.waits[id] = reply
        return lambda: self.given_up.append(id)

    def end(self, id: str, value: Any) -> None:
        self._ended[id] = Record(id, State.SUCCEEDED, "sub", value=encode(value))
        self.waits.pop(id)([self._ended[id]], None)


def give(bench: Bench, task: str, *args: Any, **fields: Any) -> str:
    return bench.give_step(f"steps_app.{task}", None, args, **fields)


async def ended_waiting(bench: Bench, endings: Endings, policy: Callable[[float], Policy]) -> Outcome:
    """How it ended that waited when its seconds were over. On a busy machine they may be over before it asks: then it
    gets more."""
    endings.waits.clear()
    endings.given_up.clear()
    for seconds in (0.3, 3.0, 30.0):
        (outcome,) = await bench.ended(give(bench, "waits_async", "sub", policy=policy(seconds)))
        if "sub" in endings.waits:
            break
    await until(lambda: "sub" in endings.given_up)
    return outcome


async def test_a_task_that_waits_for_another_gives_up_its_slot_and_goes_on_when_that_ended(opened: Open) -> None:
    async with opened(spec("asyncio", concurrency=1)) as bench:
        endings = Endings(bench)
        waits = give(bench, "waits_async", "sub")
        assert bench.pool.free() == 0
        await until(lambda: "sub" in endings.waits and bench.pool.free() == 1)
        assert bench.pool.report().running == 0
        (outcome,) = await bench.ended(give(bench, "doubles_async", 21))
        assert decode_any(outcome.value) == 42
        endings.end("sub", "done")
        (outcome,) = await bench.ended(waits)
        assert decode_any(outcome.value) == "done"
        assert bench.pool.free() >= 1


async def test_any_number_of_tasks_may_wait_in_one_slot(opened: Open) -> None:
    async with opened(spec("asyncio", concurrency=1)) as bench:
        endings = Endings(bench)
        waits = []
        for number in range(50):
            await until(lambda: bench.pool.free() > 0)
            waits.append(give(bench, "waits_async", f"sub-{number}"))
        await until(lambda: len(endings.waits) == 50)
        for number in reversed(range(50)):
            endings.end(f"sub-{number}", number)
        assert [decode_any(one.value) for one in await bench.ended(*waits)] == list(range(50))
        await until(lambda: bench.pool.free() >= 1)


async def test_a_task_that_waits_for_two_at_once_has_its_slot_again_after_the_last(opened: Open) -> None:
    async with opened(spec("asyncio", concurrency=1)) as bench:
        endings = Endings(bench)
        waits = give(bench, "waits_for_two_async", "a", "b")
        await until(lambda: len(endings.waits) == 2 and bench.pool.free() == 1)
        endings.end("a", 1)
        (outcome,) = await bench.ended(give(bench, "doubles_async", 1))
        assert isinstance(outcome, Done), "one of the two is still waited for, so there is a slot"
        endings.end("b", 2)
        (outcome,) = await bench.ended(waits)
        assert decode_any(outcome.value) == [1, 2]
        await until(lambda: bench.pool.free() >= 1)


async def test_a_task_that_is_cancelled_while_it_waits_gives_up_its_wait(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("polypool.pools.pool.CANCEL_PATIENCE", PATIENCE)
    async with opened(spec("asyncio", concurrency=1)) as bench:
        endings = Endings(bench)
        waits = give(bench, "waits_async", "sub")
        await until(lambda: "sub" in endings.waits)
        bench.pool.cancel(waits)
        (outcome,) = await bench.ended(waits)
        assert isinstance(outcome, Cancelled)
        await until(lambda: endings.given_up == ["sub"])
        assert bench.pool.free() >= 1
        (outcome,) = await bench.ended(give(bench, "doubles_async", 1))
        assert isinstance(outcome, Done)


async def test_soft_and_hard_timeouts_go_on_counting_while_it_waits(opened: Open) -> None:
    async with opened(spec("asyncio", concurrency=1)) as bench:
        endings = Endings(bench)
        outcome = await ended_waiting(bench, endings, lambda seconds: Policy(soft_timeout=seconds))
        assert isinstance(outcome, Failed)
        assert outcome.failure.type == "polypool.core.error.SoftTimeout"
        outcome = await ended_waiting(bench, endings, lambda seconds: Policy(timeout=seconds))
        assert isinstance(outcome, TimedOut), "with its child"
        await until(lambda: bench.pool.free() == 1)
        (outcome,) = await bench.ended(give(bench, "doubles_async", 1))
        assert isinstance(outcome, Done)


@pytest.mark.parametrize("kind", ["prefork", "solo"])
async def test_where_it_cannot_step_aside_it_is_refused_and_told_what_to_do(opened: Open, kind: str) -> None:
    async with opened(spec(kind)) as bench:
        endings = Endings(bench)
        (outcome,) = await bench.ended(give(bench, "waits_async", "sub"))
        assert isinstance(outcome, Failed)
        assert outcome.failure.type == "polypool.core.error.WaitInsideTask"
        assert "return chain(" in outcome.failure.message
        assert "async def" in outcome.failure.message
        assert endings.waits == {}


@pytest.mark.parametrize("kind", ["prefork", "solo"])
async def test_what_has_ended_already_can_be_awaited_everywhere(opened: Open, kind: str) -> None:
    async with opened(spec(kind)) as bench:
        record = Record("sub", State.SUCCEEDED, "sub", value=encode("done"))
        bench.seen.answer = lambda ask: [record]
        (outcome,) = await bench.ended(give(bench, "waits_async", "sub"))
        assert decode_any(outcome.value) == "done"


async def test_waiting_in_a_child_that_dies_is_given_up(opened: Open, tmp_path: Path) -> None:
    async with opened(spec("asyncio", concurrency=2)) as bench:
        endings = Endings(bench)
        give(bench, "waits_async", "sub")
        await until(lambda: "sub" in endings.waits)
        await bench.pool.stop(0)
        await until(lambda: endings.given_up == ["sub"])
