"""What the engine suites share: a clock to move, an engine of each kind, and short words for messages and ends."""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import msgspec

from polypool.brokers.memory import MemoryEngine
from polypool.brokers.open import open_engine
from polypool.brokers.postgres.engine import PostgresEngine
from polypool.brokers.rabbitmq.engine import RabbitEngine
from polypool.brokers.rabbitmq.options import Options as RabbitOptions
from polypool.core.decide import decide
from polypool.core.event import Event
from polypool.core.message import Delivery, Lane, Message, Policy
from polypool.core.outcome import Done, Lost, Outcome, Settlement
from polypool.core.port import Backend, Claims, Engine
from polypool.core.report import Heartbeat, Orders
from tests.engines import postgres, redis

LANE = Lane("default", "threads")
LEASE = 6.0
PATIENCE = 60.0
"""Seconds that a test waits for what should come at once: a busy machine may stop for seconds anywhere."""


class Clock:
    """A clock that stands until it is moved. Whole seconds, so that no engine rounds them."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += seconds


class Scene:
    """One engine under test, and what the suites need beside its ports."""

    def __init__(self, url: str, clock: Callable[[], float], backend: str | None = None) -> None:
        self.url = url
        self.clock = clock
        self.backend = backend
        self.engine = open_engine(url, backend=backend, clock=clock)

    @property
    def claims(self) -> Claims:
        """What an engine offers that can stand behind one which only carries messages."""
        return cast(Backend, self.engine).claims

    async def another(self) -> Engine:
        """The same store as another process would open it; the caller closes it."""
        if isinstance(self.engine, MemoryEngine):
            return self.engine
        engine = self._opened_again()
        await engine.broker.open()
        return engine

    def _opened_again(self) -> Engine:
        if isinstance(self.engine, RabbitEngine) and isinstance(self.engine.backend, MemoryEngine):
            return RabbitEngine(RabbitOptions.parse(self.url), self.engine.backend, self.clock)
        return open_engine(self.url, backend=self.backend, clock=self.clock)

    def spoil(self, id: str) -> None:
        """Make a stored body undecodable, as a broken or foreign sender would."""
        engine = self.engine.backend if isinstance(self.engine, RabbitEngine) else self.engine
        url = self.backend or self.url
        if isinstance(engine, MemoryEngine):
            engine.store.entries[id].body = b"\xc1"
            return
        if url.startswith("redis:"):
            redis.spoil(url, id)
            return
        if isinstance(engine, PostgresEngine):
            postgres.execute(url, "UPDATE task SET body = '\\xc1' WHERE id = $1", id)
            return
        with sqlite3.connect(Path(url.removeprefix("sqlite:///"))) as connection:
            connection.execute("UPDATE task SET body = x'c1' WHERE id = ?", [id])
        connection.close()

    def priority(self, wanted: int) -> int:
        """A priority that a message may have here."""
        return wanted if self.engine.broker.traits.priorities else 0

    # Short forms of what nearly every test does.

    async def put(self, *ids: str, **fields: Any) -> None:
        assert all(await self.engine.broker.put([message(id, **fields) for id in ids]))

    async def join(self, worker: str = "w1", **fields: Any) -> Orders:
        return await self.engine.broker.beat(heartbeat(worker, **fields))

    async def take(self, limit: int = 100, worker: str = "w1", lane: Lane = LANE) -> list[Delivery]:
        return list(await self.engine.broker.take([lane], limit, worker, 0))

    async def take_one(self, worker: str = "w1") -> Delivery:
        [delivery] = await self.take(1, worker)
        return delivery

    async def settle(self, delivery: Delivery, outcome: Outcome = Done(b"\xc0")) -> bool:  # noqa: B008 — frozen
        [accepted] = await self.engine.broker.settle([self.settlement(delivery, outcome)])
        return accepted

    def settlement(self, delivery: Delivery, outcome: Outcome) -> Settlement:
        return decide(delivery, outcome, self.clock(), lambda: 0.5)

    async def state(self, id: str) -> str | None:
        [record] = await self.engine.results.read([id])
        return None if record is None else record.state

    async def bury(self, id: str, worker: str = "w1") -> None:
        """Put a message and let it end among the dead letters."""
        await self.put(id, policy=Policy(max_lost=1))
        [delivery] = [taken for taken in await self.take(worker=worker) if taken.id == id]
        assert await self.settle(delivery, Lost("killed by signal 9"))


def message(id: str, **fields: Any) -> Message:
    return Message(**{"id": id, "task": "app.work", "args": b"\x92\x90\x80", "pool": "threads", **fields})


def heartbeat(worker: str = "w1", **fields: Any) -> Heartbeat:
    return Heartbeat(**{"worker": worker, "host": "here", "pid": 1, "started_at": 1.0, "lease": LEASE, **fields})


def event(run: int, number: int, data: object = None) -> Event:
    return Event(run, number, "emit", msgspec.msgpack.encode(data), at=float(number))


def ids(things: Any) -> list[str]:
    return [thing.id for thing in things]


async def eventually(condition: Callable[[], Awaitable[bool]], within: float = PATIENCE) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + within
    while not await condition():
        assert time.monotonic() < deadline, "did not come true in time"
        await asyncio.sleep(0.002)
