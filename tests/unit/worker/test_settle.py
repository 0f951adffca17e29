"""The settler writes what ended, in batches, and drops nothing while the engine is away."""

import asyncio
import random
import time
from collections.abc import AsyncIterator

import pytest

from polypool.core.codec import encode
from polypool.core.decide import decide
from polypool.core.event import Event
from polypool.core.lifecycle import State
from polypool.core.message import Delivery
from polypool.core.outcome import Done, Settlement
from polypool.worker.settle import Settler
from tests.unit.worker.stand import Engine, turns


def done(delivery: Delivery) -> Settlement:
    return decide(delivery, Done(encode("packed")), time.time(), random.random)


@pytest.fixture
async def bench() -> AsyncIterator[tuple[Engine, Settler, list[Settlement]]]:
    engine, stale = Engine(), []
    settler = Settler(engine, stale.append)
    running = asyncio.ensure_future(settler.run())
    yield engine, settler, stale
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


Bench = tuple[Engine, Settler, list[Settlement]]


async def test_what_piles_up_during_a_write_goes_out_as_one_batch(bench: Bench) -> None:
    engine, settler, _ = bench
    deliveries = await engine.taken("a", "b", "c", "d")
    engine.broker.batches.clear()
    engine.broker.gate.clear()
    settler.add(done(deliveries[0]))
    await turns(lambda: settler.backlog == 0)
    for delivery in deliveries[1:]:
        settler.add(done(delivery))
    engine.broker.gate.set()
    await settler.drained()
    assert [len(batch) for batch in engine.broker.batches] == [1, 3]


async def test_nothing_is_dropped_while_the_engine_is_away(bench: Bench) -> None:
    engine, settler, _ = bench
    deliveries = await engine.taken("a", "b")
    engine.broker.is_away = True
    for delivery in deliveries:
        settler.add(done(delivery))
    await turns(lambda: settler.backlog == 0)
    engine.broker.is_away = False
    async with asyncio.timeout(30):
        await settler.drained()
    assert [record and record.state for record in await engine.results.read(["a", "b"])] == [State.SUCCEEDED] * 2


async def test_events_are_written_before_the_ending_they_belong_to(bench: Bench) -> None:
    engine, settler, _ = bench
    (delivery,) = await engine.taken("a")
    settler.add_events("a", [Event(run=1, number=1, kind="emit", data=encode("hello"), at=1000.5)])
    settler.add(done(delivery))
    await settler.drained()
    page = await engine.bus._port.follow("a", None, 0.0)
    assert [event.data for event in page.events] == [encode("hello")]
    assert page.record is not None


async def test_a_stale_ending_is_reported_and_changes_nothing(bench: Bench) -> None:
    engine, settler, stale = bench
    (delivery,) = await engine.taken("a")
    settler.add(done(delivery))
    settler.add(done(delivery))
    await settler.drained()
    assert [settlement.delivery.id for settlement in stale] == ["a"]


async def test_who_waits_for_events_to_be_written_waits_until_the_engine_has_them(bench: Bench) -> None:
    engine, settler, _ = bench
    (delivery,) = await engine.taken("a")
    engine.broker.gate.clear()
    settler.add(done(delivery))
    await turns(lambda: settler.backlog == 0)  # a write is under way
    settler.add_events("a", [Event(delivery.token, 1, "emit", encode(1), 0.0)])
    waiting = asyncio.ensure_future(settler.events_written())
    await turns(lambda: True)
    assert not waiting.done()
    engine.broker.gate.set()
    await waiting
    await settler.events_written()  # with nothing to write it is answered too
