"""An engine that was away takes nobody's lease: who could not beat meanwhile is not thought dead for it."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from polypool.core.error import EngineUnreachable
from polypool.core.ledger import Reservation, Slot
from polypool.core.message import Delivery
from tests.conformance.scene import Scene
from tests.engines import postgres, redis
from tests.engines.proxy import Proxy

AWAY = 60.0
Server = redis.Server | postgres.Server


@pytest.fixture(params=["redis", "postgres"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """One that can be stopped, and keeps what it has accepted."""
    if request.param == "redis":
        made = redis.Server("--appendonly", "yes", "--appendfsync", "always")
        yield made
        made.remove()
    else:
        with postgres.private_server() as own:
            yield own


class Clock:
    """Stands until it is set; near the real one, since servers know when they started."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


async def test_leases_begin_anew_when_the_server_comes_back_and_end_as_ever_after(server: Server) -> None:
    clock = Clock()
    scene = Scene(server.url, clock)
    await scene.engine.broker.open()
    await scene.join("w1", lease=AWAY)
    await scene.put("a")
    [held] = await scene.take(worker="w1")
    server.stop()
    server.start()
    # Another client comes first, so long after the last beat that the lease would be over had the server been there.
    clock.now += AWAY + 0.001
    other = Scene(server.url, clock)
    await other.engine.broker.open()
    await other.join("w2", lease=AWAY)
    assert await other.take(worker="w2") == []
    await scene.engine.broker.close()
    await scene.engine.broker.open()
    assert not (await scene.join("w1", lease=AWAY)).is_fenced
    assert await scene.settle(held)

    await scene.put("b")
    await scene.take(worker="w1")
    await other.join("w2", lease=10 * AWAY)
    clock.now += AWAY + 1
    assert [delivery.id for delivery in await other.take(worker="w2")] == ["b"]
    await other.engine.broker.close()
    await scene.engine.broker.close()


async def test_what_is_held_of_limits_is_held_on_when_the_server_comes_back(server: Server) -> None:
    clock = Clock()
    scene = Scene(server.url, clock)
    await scene.engine.broker.open()
    assert all(await scene.engine.ledger.reserve("w1", AWAY, [Reservation("a", (Slot("s", 1),))]))
    server.stop()
    server.start()
    clock.now += AWAY + 0.001
    other = Scene(server.url, clock)
    await other.engine.broker.open()
    wanted = Reservation("b", (Slot("s", 1),))
    assert not any(await other.engine.ledger.reserve("w2", AWAY, [wanted]))
    await scene.engine.broker.close()
    await scene.engine.broker.open()
    assert await scene.engine.ledger.renew("w1", AWAY)
    clock.now += AWAY + 1
    assert all(await other.engine.ledger.reserve("w2", AWAY, [wanted]))
    await other.engine.broker.close()
    await scene.engine.broker.close()


async def test_a_worker_that_never_comes_back_after_a_restart_loses_what_it_held_a_lease_later(server: Server) -> None:
    clock = Clock()
    scene = Scene(server.url, clock)
    await scene.engine.broker.open()
    await scene.join("w1", lease=AWAY)
    await scene.put("a")
    await scene.take(worker="w1")
    await scene.engine.broker.close()
    server.stop()
    server.start()
    other = Scene(server.url, clock)
    await other.engine.broker.open()
    await other.join("w2", lease=10 * AWAY)
    assert await other.take(worker="w2") == []
    clock.now = time.time() + AWAY + 1
    [delivery] = await other.take(worker="w2")
    assert (delivery.id, delivery.deliveries) == ("a", 2)
    await other.engine.broker.close()


async def test_what_a_claim_brought_whose_answer_was_lost_runs_again_uncounted_while_its_worker_lives() -> None:
    """On PostgreSQL; test_redis.py has the same of takes there."""
    with postgres.private_server() as own:
        async with Proxy(own.port) as proxy:
            scene = Scene(f"postgresql://postgres@127.0.0.1:{proxy.port}/postgres", time.time)
            await scene.engine.broker.open()
            await scene.join(lease=AWAY)
            await scene.put("a", "b")
            first = await scene.take_one()
            proxy.is_mute = True
            taking = asyncio.create_task(scene.take())
            held = "SELECT count(*) FROM live WHERE state = 'running'"
            while postgres.execute(own.url, held)[0][0] < 2:
                await asyncio.sleep(0.01)
            proxy.cut()
            proxy.is_mute = False
            with pytest.raises(EngineUnreachable):
                await taking
            again: list[Delivery] = []
            while not again:
                with suppress(EngineUnreachable):
                    again = await scene.take()
            assert [(one.id, one.deliveries) for one in again] == [("b", 1)], "and not what it knows to hold"
            assert await scene.settle(first)
            assert await scene.settle(again[0])
            await scene.engine.broker.close()
