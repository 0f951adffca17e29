"""The Redis engine on other makes than the one installed: the oldest Redis that will do, and Valkey.

Every suite runs on any server with POLYPOOL_TEST_REDIS_PROGRAM=PATH.
"""

import asyncio
import time
from collections.abc import Iterator

import pytest

from polypool.core.error import EngineFull
from polypool.core.message import Policy
from polypool.core.outcome import Done, Failed, Failure
from tests.conformance.scene import LANE, Scene, event
from tests.engines import redis


@pytest.fixture(params=redis.WHEELS)
def server(request: pytest.FixtureRequest) -> Iterator[redis.Server]:
    program = redis.other_make(request.param)
    if program is None:
        pytest.skip(f"no server of {request.param} for this system")
    made = redis.Server("--appendonly", "yes", made_by=program)
    yield made
    made.remove()


async def test_a_task_goes_all_its_ways(server: redis.Server) -> None:
    scene = Scene(server.url, time.time)
    broker, results, bus = scene.engine.broker, scene.engine.results, scene.engine.bus
    await broker.open()
    await scene.join(lease=60.0)
    taking = asyncio.create_task(broker.take([LANE], 5, "w1", 20))
    with redis.client(server.url) as admin:
        while not admin.exists("{polypool}:hungry:1"):
            await asyncio.sleep(0.005)
    await scene.put("a", policy=Policy(max_retries=1))
    [first] = await asyncio.wait_for(taking, 20)
    assert await scene.settle(first, Failed(Failure("ValueError", "no")))
    await scene.put("b", due=time.time() + 3600)
    await scene.put("c", priority=5)
    assert list(await broker.cancel(["b"])) == [True]
    second = await scene.take_one()
    await bus.append([("c", event(1, 1, "hello"))])
    waiting = asyncio.create_task(results.wait(["c"], 20))
    assert await scene.settle(second, Done(b"\x2a"))
    [record] = await waiting
    assert (record.id, record.state, record.value) == ("c", "succeeded", b"\x2a")
    assert not await scene.settle(second), "a stale token writes nothing"
    assert [await scene.state(id) for id in "abc"] == ["failed", "cancelled", "succeeded"]
    assert len((await bus.follow("c", None, 0)).events) == 1
    await broker.close()


async def test_memory_that_is_used_up_is_said_and_nothing_is_lost(server: redis.Server) -> None:
    scene = Scene(server.url, time.time)
    await scene.engine.broker.open()
    await scene.join(lease=60.0)
    await scene.put("a")
    delivery = await scene.take_one()
    with redis.client(server.url) as admin:
        admin.config_set("maxmemory", "500kb")
        with pytest.raises(EngineFull, match="maxmemory"):
            await scene.put("b")
        is_old = int(admin.info("server")["redis_version"].split(".")[0]) < 7
        if is_old:  # its scripts cannot say that they give room back
            with pytest.raises(EngineFull, match="maxmemory"):
                await scene.settle(delivery)
            admin.config_set("maxmemory", "0")
        assert await scene.settle(delivery)
        admin.config_set("maxmemory", "0")
    await scene.put("b")
    assert [await scene.state(id) for id in "ab"] == ["succeeded", "queued"]
    await scene.engine.broker.close()
