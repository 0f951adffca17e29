"""PostgreSQL: takes that came into effect though their answer reached nobody. Their worker lives and beats, so that
nothing else would ever give back what they brought."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from polypool.core.error import EngineUnreachable
from polypool.core.message import Delivery
from polypool.core.outcome import Deferred
from tests.conformance.scene import LANE, Scene, eventually, heartbeat, ids, message
from tests.engines.pgbouncer import pooled
from tests.engines.postgres import Server, drop_schema, empty_schema, execute, private_server
from tests.engines.proxy import Proxy

LONG = 6000.0
NAMES = ["a", "b", "c"]
STEP = 37
"""Bytes between two places to cut."""
RUNNING = "SELECT count(*) FROM live WHERE state = 'running'"
COUNTS = "SELECT state, deliveries FROM live JOIN task USING (seq) WHERE id <> 'first' ORDER BY id"
WORKERS = "SELECT pid FROM pg_stat_activity WHERE application_name = 'polypool'"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with private_server() as made:
        yield made


@pytest.fixture(scope="module", params=["direct", "pooled"])
def address(request: pytest.FixtureRequest, server: Server) -> Iterator[str]:
    """Where clients connect: the server itself, or PgBouncer in transaction mode."""
    if request.param == "direct":
        yield server.url
    else:
        with pooled(server.url) as made:
            yield made


class Cut:
    """A worker `w1` that holds `first`, behind a proxy; three messages wait. `url` leads around the proxy."""

    def __init__(self, scene: Scene, proxy: Proxy, url: str, first: Delivery) -> None:
        self.scene, self.proxy, self.url, self.first = scene, proxy, url, first

    async def take(self, way: str) -> list[Delivery]:
        if way == "take":
            return await self.scene.take()
        claimed = await self.scene.claims.claim([message(name) for name in NAMES], "w1")
        return [one for one in claimed if one is not None]

    async def beat(self) -> None:
        """Go on beating, until one is answered."""
        while True:
            with contextlib.suppress(EngineUnreachable):
                await self.scene.join(lease=LONG)
                return

    async def take_all(self, way: str) -> list[Delivery]:
        """What beats and takes bring until nothing is missing. The first may come while the server is still at what
        was cut off, and holds it locked."""
        taken: list[Delivery] = []

        async def is_complete() -> bool:
            await self.beat()
            taken.extend(await self.take(way))
            return len(taken) >= len(NAMES)

        await eventually(is_complete)
        return taken

    async def give_up(self, taken: list[Delivery]) -> None:
        batch = [self.scene.settlement(delivery, Deferred()) for delivery in taken]
        assert all(await self.scene.engine.broker.settle(batch))


@contextlib.asynccontextmanager
async def cut(server: Server, address: str) -> AsyncIterator[Cut]:
    url = empty_schema(server.url)
    async with Proxy(int(address.rpartition(":")[2].partition("/")[0])) as proxy:
        way = f"postgresql://postgres@127.0.0.1:{proxy.port}/postgres?{url.partition('?')[2]}"
        scene = Scene(way if address == server.url else f"{way}&pooled=yes&poll=0.02", time.time)
        await scene.engine.broker.open()
        await scene.join(lease=LONG)
        await scene.put("first")
        first = await scene.take_one()
        await scene.put(*NAMES)
        yield Cut(scene, proxy, url, first)
        assert await scene.settle(first), "what was known to run was left alone"
        await scene.engine.broker.close()
    drop_schema(url)


@pytest.mark.parametrize("way", ["take", "claim"])
async def test_what_was_committed_unheard_runs_elsewhere_uncounted_while_its_worker_only_beats(
    server: Server, way: str
) -> None:
    async with cut(server, server.url) as here:
        await here.give_up(await here.take(way))  # its statements are known to the server
        here.proxy.is_mute = True
        taking = asyncio.create_task(here.take(way))

        async def is_committed() -> bool:
            return bool(execute(here.url, RUNNING) == [(4,)])

        await eventually(is_committed)
        here.proxy.cut()
        here.proxy.is_mute = False
        with pytest.raises(EngineUnreachable):
            await taking
        await here.beat()
        other = Scene(here.url, time.time)
        await other.engine.broker.open()
        await other.join("w2", lease=LONG)
        taken = await other.take(worker="w2")
        assert [(one.id, one.deliveries) for one in taken] == [(name, 1) for name in NAMES]
        await other.engine.broker.close()


@pytest.mark.parametrize("is_answer", [True, False])
@pytest.mark.parametrize("way", ["take", "claim"])
async def test_wherever_the_line_is_cut_the_next_takes_have_it_all_uncounted(
    server: Server, address: str, way: str, is_answer: bool
) -> None:
    async with cut(server, address) as here:
        for count in range(1, 100_000, STEP):
            cuts = here.proxy.cuts
            here.proxy.cut_after(count, is_answer)
            try:
                taken = await here.take(way)
            except EngineUnreachable:
                taken = []
            here.proxy.cut_after(sys.maxsize, is_answer)
            if here.proxy.cuts == cuts:
                assert ids(taken) == NAMES
                break
            assert taken == []
            again = await here.take_all(way)
            assert sorted((one.id, one.deliveries) for one in again) == [(name, 1) for name in NAMES], count
            await here.give_up(again)
        assert here.proxy.cuts >= 3


@pytest.mark.parametrize("way", ["take", "claim"])
async def test_whenever_a_take_is_cancelled_the_next_one_has_it_all_uncounted(
    server: Server, address: str, way: str
) -> None:
    async with cut(server, address) as here:
        turns = finished = 0
        while finished < 3:
            taking = asyncio.create_task(here.take(way))
            for _ in range(turns):
                await asyncio.sleep(0)
            taking.cancel()
            [taken] = await asyncio.gather(taking, return_exceptions=True)
            if isinstance(taken, list):
                finished += 1
                await here.give_up(taken)
            again = await here.take(way)
            assert [(one.id, one.deliveries) for one in again] == [(name, 1) for name in NAMES], turns
            await here.give_up(again)
            turns += 1 + turns // 16


@pytest.mark.parametrize("way", ["take", "claim"])
async def test_what_a_slow_server_does_long_after_the_line_broke_is_given_back_by_a_later_beat(
    server: Server, way: str
) -> None:
    async with cut(server, server.url) as here:
        await here.give_up(await here.take(way))  # its statements are known to the server
        [(pid,)] = execute(here.url, WORKERS)
        passed = here.proxy.asked
        os.kill(pid, signal.SIGSTOP)
        try:
            taking = asyncio.create_task(here.take(way))

            async def is_asked() -> bool:
                return here.proxy.asked > passed

            await eventually(is_asked)
            here.proxy.cut()
            with pytest.raises(EngineUnreachable):
                await taking
            await here.beat()
            await here.give_up(again := await here.take(way))
            assert ids(again) == NAMES
        finally:
            os.kill(pid, signal.SIGCONT)

        async def is_done() -> bool:
            return bool(execute(here.url, RUNNING) == [(4,)])

        await eventually(is_done)
        await here.scene.engine.broker.beat(heartbeat(lease=LONG))
        assert execute(here.url, COUNTS) == [("queued", 0)] * 3
        assert ids(await here.scene.engine.broker.take([LANE], 9, "w1", 0)) == NAMES
