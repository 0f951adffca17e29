"""Execution runs what may run, settles what may not, and lets go of what ended."""

import asyncio
import time

import msgspec

from polypool.canvas.shape import Chain, Group
from polypool.core.ask import Await, Put, Read
from polypool.core.codec import encode
from polypool.core.decide import decide
from polypool.core.error import EngineUnreachable
from polypool.core.gather import reference_in
from polypool.core.join import NO_PLACE, Flow, Input, Many, Next
from polypool.core.lifecycle import State
from polypool.core.message import Lane
from polypool.core.outcome import Cancelled, Cause, Done, Failed, Failure, Lost, Origin
from polypool.worker.book import Book
from polypool.worker.execute import Execution
from polypool.worker.settle import Settler
from tests.unit.flows import call, returns
from tests.unit.worker.stand import Engine, Pool, message, turns


class Desk:
    """An execution between a memory engine and a pool that only remembers."""

    def __init__(self) -> None:
        self.engine, self.pool = Engine(), Pool()
        self.room: list[str] = []
        self.settler = Settler(self.engine, lambda _: None)
        self.execution = Execution(self.engine, self.settler, Book(), self.room.append)
        self.execution.known_tasks = {"shop.pack": None}
        self.settling = asyncio.ensure_future(self.settler.run())

    async def state(self, id: str) -> State | None:
        await self.settler.drained()
        (record,) = await self.engine.results.read([id])
        return record and record.state


async def test_what_may_run_is_run_and_settled_when_it_ends() -> None:
    desk = Desk()
    deliveries = await desk.engine.taken("a", "b")
    desk.execution.start(deliveries, desk.pool)
    assert [delivery.id for delivery in desk.pool.ran] == ["a", "b"] and desk.execution.held == 2
    desk.execution.ended(deliveries[0], Done(encode(1)))
    assert await desk.state("a") is State.SUCCEEDED
    assert await desk.state("b") is State.RUNNING
    assert desk.room == ["threads"] and desk.execution.held == 1


async def test_an_unknown_task_goes_to_the_dead_letters_without_running() -> None:
    desk = Desk()
    desk.execution.known_tasks = {}
    desk.execution.start(await desk.engine.taken("a"), desk.pool)
    assert desk.pool.ran == []
    assert await desk.state("a") is State.FAILED
    (record,) = await desk.engine.results.read(["a"])
    assert record is not None and record.is_dead and record.failure is not None
    assert "unknown task 'shop.pack'" in record.failure.message


async def test_a_step_that_only_gathers_is_ended_without_its_pool() -> None:
    desk = Desk()
    desk.execution.known_tasks = {}
    await desk.engine.broker.put([message("a", flow=Flow(gathers=True, inputs=(Input(Many("a", 2)),)))])
    desk.execution.start(await desk.engine.taken("a"), desk.pool)
    assert desk.pool.ran == [] and desk.execution.held == 0
    assert await desk.state("a") is State.SUCCEEDED
    (record,) = await desk.engine.results.read(["a"])
    assert record is not None and record.value is not None and reference_in(record.value) == Many("a", 2)


async def test_a_step_whose_earlier_one_failed_is_ended_without_running() -> None:
    desk = Desk()
    cause = encode(Cause(State.FAILED, Failure("ValueError", "no", origin=Origin("before", "shop.make"))))
    (taken,) = await desk.engine.taken("a")
    desk.execution.start([msgspec.structs.replace(taken, cause=cause)], desk.pool)
    assert desk.pool.ran == []
    assert await desk.state("a") is State.FAILED
    (record,) = await desk.engine.results.read(["a"])
    assert record is not None and record.failure is not None
    assert record.failure.origin == Origin("before", "shop.make")


async def test_a_wait_that_a_child_gives_up_is_given_up_at_the_engine() -> None:
    desk = Desk()
    await desk.engine.taken("a")
    replies: list[object] = []
    give_up = desk.execution.asked(Await(["a"], 600.0), lambda value, error: replies.append((value, error)))
    await turns(lambda: desk.execution.asking == 1)
    give_up()
    await turns(lambda: desk.execution.asking == 0)
    assert replies == []


async def test_being_fenced_off_cancels_everything_it_runs() -> None:
    desk = Desk()
    desk.execution.start(await desk.engine.taken("a", "b"), desk.pool)
    desk.execution.abandon()
    assert desk.pool.cancelled == ["a", "b"]


async def test_a_message_that_comes_back_before_its_former_run_has_ended_is_held_twice_and_settled() -> None:
    """Once the second run's end was lost: the former run's end had taken the id out of what is held."""
    desk = Desk()
    (former,) = await desk.engine.taken("a")
    desk.execution.start([former], desk.pool)
    desk.execution.abandon()
    assert await desk.engine.broker.settle([decide(former, Lost("fenced off"), 1000.0, lambda: 0.5)]) == [True]
    (again,) = await desk.engine.broker.take([Lane("default", "threads")], 1, "w1", 0.0)
    desk.execution.start([again], desk.pool)
    assert desk.execution.held == 2
    desk.execution.ended(former, Cancelled())
    assert await desk.state("a") is State.RUNNING, "the former run's end is stale"
    desk.execution.ended(again, Done(encode(1)))
    assert await desk.state("a") is State.SUCCEEDED
    assert desk.execution.held == 0
    assert desk.pool.cancelled == ["a"]


async def test_what_a_child_asks_is_answered_and_its_errors_go_back_to_it() -> None:
    desk, replies = Desk(), []
    desk.execution.asked(Put([message("sub")]), lambda value, error: replies.append((value, error)))
    await turns(lambda: len(replies) == 1)
    assert replies == [([True], None)]

    async def unreachable(ids: object) -> object:
        raise EngineUnreachable("pulled the plug")

    desk.engine.results.read = unreachable  # type: ignore[method-assign, assignment]
    desk.execution.asked(Read(["sub"]), lambda value, error: replies.append((value, error)))
    await turns(lambda: len(replies) == 2)
    assert isinstance(replies[1][1], EngineUnreachable)


async def test_what_a_run_returned_before_it_knew_that_it_was_cancelled_is_ended_too() -> None:
    desk = Desk()
    deliveries = await desk.engine.taken("a")
    desk.execution.start(deliveries, desk.pool)
    assert await desk.engine.broker.cancel(["a"]) == [True]
    desk.execution.ended(deliveries[0], returns(Group((call(), Chain((call(), call())))))(deliveries[0]))
    await desk.settler.drained()
    desk.execution.start(await desk.engine.broker.take([Lane("default", "threads")], 1, "w1", 0.0), desk.pool)
    ids = ["a", "a~", "a~-0", "a~-1", "a~-1.0"]
    async with asyncio.timeout(60):
        while [record and record.state for record in await desk.engine.results.read(ids)] != [State.CANCELLED] * 5:
            await asyncio.sleep(0)


async def returned_and_over(desk: Desk) -> None:
    """`a` waits for a workflow that had failed before it waited; the step that tells it so is there to be taken."""
    cause = Failure("ValueError", "no", origin=Origin("a~-0", "shop.make"))
    (over,) = await desk.engine.taken("a~")
    await desk.engine.broker.settle([decide(over, Failed(cause), time.time(), lambda: 0.5)])
    last = Flow(then=(Next("a", NO_PLACE),), inputs=(Input(Many("a~", 1)),), gathers=True, ends_with="a~")
    await desk.engine.broker.put([message("a", flow=Flow(1)), message("a~-all", flow=last)])


async def test_who_began_to_wait_for_a_workflow_that_was_over_is_told_how_it_ended() -> None:
    desk = Desk()
    await returned_and_over(desk)
    lane = Lane("default", "threads")
    async with asyncio.timeout(60):
        while await desk.state("a") is not State.FAILED:
            desk.execution.start(await desk.engine.broker.take([lane], 1, "w1", 0.0), desk.pool)
            await asyncio.sleep(0)
    (record,) = await desk.engine.results.read(["a"])
    assert record is not None and record.failure is not None
    assert record.failure.origin == Origin("a~-0", "shop.make") and desk.pool.ran == []


async def test_a_step_that_looks_back_is_taken_again_where_the_engine_was_away() -> None:
    desk = Desk()
    await returned_and_over(desk)
    read, asked = desk.engine.results.read, []

    async def unreachable(ids: object) -> object:
        asked.append(ids)
        raise EngineUnreachable("pulled the plug")

    desk.engine.results.read = unreachable  # type: ignore[method-assign, assignment]
    (taken,) = await desk.engine.broker.take([Lane("default", "threads")], 1, "w1", 0.0)
    desk.execution.start([taken], desk.pool)
    await turns(lambda: asked)
    desk.engine.results.read = read  # type: ignore[method-assign]
    async with asyncio.timeout(60):
        while await desk.state("a~-all") is not State.QUEUED:
            await asyncio.sleep(0)
