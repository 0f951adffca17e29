"""One heartbeat for everything; what comes back with it is obeyed, what did not arrive is told again."""

import asyncio

import pytest

from polypool.core.error import EngineUnreachable
from polypool.core.outcome import Done, Usage
from polypool.worker.book import Book
from polypool.worker.execute import Execution
from polypool.worker.keep import Keeper
from polypool.worker.settle import Settler
from tests.unit.worker.stand import Engine, Pool, delivery, heartbeat, turns


class Desk:
    def __init__(self) -> None:
        self.engine, self.pool, self.book = Engine(), Pool(), Book()
        self.execution = Execution(self.engine, Settler(self.engine, lambda _: None), self.book, lambda _: None)
        self.execution.known_tasks = {"shop.pack": None}
        self.keeper = Keeper(self.engine.broker, self.book, heartbeat, self.execution)


async def test_an_order_to_cancel_reaches_the_pool() -> None:
    desk = Desk()
    desk.execution.start(await desk.engine.taken("a", "b"), desk.pool)
    await desk.engine.broker.cancel(["b"])
    await desk.keeper.beat()
    assert desk.pool.cancelled == ["b"]


async def test_an_order_ends_the_wait_for_the_next_beat() -> None:
    desk = Desk()
    desk.execution.start(await desk.engine.taken("a"), desk.pool)
    running = asyncio.ensure_future(desk.keeper.run(lease=600.0))
    await turns(lambda: len(desk.engine.broker.batches) > 1)
    await desk.engine.broker.cancel(["a"])
    await turns(lambda: desk.pool.cancelled)
    running.cancel()


async def test_measurements_whose_report_did_not_arrive_are_told_again() -> None:
    desk = Desk()
    desk.book.count(delivery("a"), "threads", Done(b"", Usage(1000.0, 0.5)))
    desk.engine.broker.is_away = True
    with pytest.raises(EngineUnreachable):
        await desk.keeper.beat()
    desk.engine.broker.is_away = False
    await desk.keeper.beat()
    await desk.keeper.beat()
    (tally,) = await desk.engine.inspector.tallies()
    assert tally.succeeded == 1


async def test_it_goes_on_beating_after_the_engine_was_away() -> None:
    desk = Desk()
    desk.engine.broker.is_away = True
    running = asyncio.ensure_future(desk.keeper.run(lease=0.03))
    await asyncio.sleep(0)
    desk.engine.broker.is_away = False
    await turns(lambda: len(desk.engine.broker.batches) >= 2)
    running.cancel()
