"""Notifications are lost while nobody listens: under traffic, connections that listen are killed again and again."""

import asyncio
from collections.abc import Iterator

import pytest

from polypool.brokers.open import open_engine
from polypool.core.decide import decide
from polypool.core.outcome import Done
from polypool.core.port import Engine
from tests.conformance.scene import LANE, heartbeat, ids, message
from tests.engines.postgres import drop_schema, empty_schema, execute

SENT = 300
KILLED_EVERY = 25
"""Tasks that end between two kills of all that listen."""
KILL = """
SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name = 'polypool' AND pid <> pg_backend_pid() AND query ~ $1
"""


@pytest.fixture
def url(postgres: str) -> Iterator[str]:
    made = empty_schema(postgres)
    yield made
    drop_schema(made)


class Traffic:
    """One worker, and senders that each send a task, wait for its result, and send the next."""

    def __init__(self, worker: Engine, client: Engine) -> None:
        self._worker = worker
        self._client = client
        self.runs: list[str] = []
        self.told: list[str] = []

    async def work(self) -> None:
        await self._worker.broker.beat(heartbeat(lease=3600.0))
        while len(self.runs) < SENT:
            # Whoever misses a notification here sleeps longer than the test may last.
            taken = await self._worker.broker.take([LANE], 10, "w1", 3600)
            self.runs += ids(taken)
            await self._worker.broker.settle([decide(one, Done(b"\xc0"), one.taken_at, lambda: 0.5) for one in taken])

    async def send(self, numbers: range) -> None:
        for number in numbers:
            assert await self._client.broker.put([message(str(number))]) == [True]
            self.told += ids(await self._client.results.wait([str(number)], 3600))


async def test_nothing_is_missed_however_often_those_that_listen_are_killed(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("polypool.brokers.postgres.results.LOOK_ANYWAY", 3600.0)
    worker, client = open_engine(url), open_engine(url)
    await worker.broker.open()
    await client.broker.open()
    traffic = Traffic(worker, client)
    senders = [traffic.send(range(start, SENT, 3)) for start in range(3)]
    running = asyncio.gather(traffic.work(), *senders)
    killed: list[int] = []

    async def kill() -> None:
        listening = f'LISTEN "?{url.partition("schema=")[2]}:'
        next_kill = KILLED_EVERY
        while not running.done():
            if len(traffic.told) >= next_kill:
                next_kill += KILLED_EVERY
                killed.extend(pid for pid, _ in await asyncio.to_thread(execute, url, KILL, listening))
            await asyncio.sleep(0.001)

    async with asyncio.timeout(100):
        await asyncio.gather(running, kill())
    assert sorted(traffic.runs) == sorted(traffic.told) == sorted(str(number) for number in range(SENT))
    assert len(set(killed)) >= 8, "too few were killed: the test proves nothing"
    await worker.broker.close()
    await client.broker.close()
