"""A taker asks for no more than its pool can begin, and stops without losing anything."""

import asyncio

import pytest

from polypool.core.lifecycle import State
from polypool.core.message import Delivery, Lane
from polypool.worker.take import Taker
from tests.unit.worker.stand import Engine, Pool, heartbeat, message, turns

LANES = [Lane("default", "threads"), Lane("slow", "threads")]


async def test_it_takes_no_more_than_the_pool_can_begin() -> None:
    engine, pool = Engine(), Pool()
    pool.slots = 3
    await engine.broker.beat(heartbeat())
    await engine.broker.put([message(str(n)) for n in range(5)])
    taker = Taker(engine.broker, "w1", LANES, pool.free, pool.run)
    running = asyncio.ensure_future(taker.run())
    await turns(lambda: len(pool.ran) == 3)
    assert (await engine.inspector.lanes())[0].queued == 2
    pool.slots = 10
    taker.notice_room()
    await turns(lambda: len(pool.ran) == 5)
    await taker.stop()
    await running


async def test_each_queue_is_first_in_its_turn() -> None:
    engine = Engine()
    order: list[str] = []
    await engine.broker.beat(heartbeat())
    both = [message(f"{queue}-{n}", queue=queue) for n in range(3) for queue in ("default", "slow")]
    await engine.broker.put(both)

    def start(deliveries: object) -> None:
        assert isinstance(deliveries, list)
        order.extend(delivery.message.queue for delivery in deliveries if isinstance(delivery, Delivery))

    taker = Taker(engine.broker, "w1", LANES, lambda: 1, start)
    running = asyncio.ensure_future(taker.run())
    await turns(lambda: len(order) == 6)
    await taker.stop()
    await running
    assert order == ["default", "slow"] * 3


async def test_a_stop_while_it_waits_ends_it_and_takes_nothing() -> None:
    engine, pool = Engine(), Pool()
    await engine.broker.beat(heartbeat())
    taker = Taker(engine.broker, "w1", LANES, pool.free, pool.run)
    running = asyncio.ensure_future(taker.run())
    await turns(lambda: engine.broker.batches)
    async with asyncio.timeout(30):
        await taker.stop()
        await running
    await engine.broker.put([message("late")])
    (record,) = await engine.results.read(["late"])
    assert record is not None and record.state is State.QUEUED
    assert pool.ran == []


async def test_a_taker_that_broke_can_still_be_stopped() -> None:
    """A worker one of whose loops breaks stops in order: it must not wait for that loop for ever."""

    def broken() -> int:
        raise ZeroDivisionError("a defect of ours")

    taker = Taker(Engine().broker, "w1", LANES, broken, Pool().run)
    running = asyncio.ensure_future(taker.run())
    with pytest.raises(ZeroDivisionError):
        await running
    async with asyncio.timeout(30):
        await taker.stop()
