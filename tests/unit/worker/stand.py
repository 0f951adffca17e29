"""Stand-ins at the worker's two borders: an engine that can go away, and a pool that only remembers."""

import asyncio
from collections.abc import Sequence
from typing import Any

from polypool.brokers.open import open_engine
from polypool.core.codec import encode
from polypool.core.error import EngineUnreachable
from polypool.core.message import Delivery, Lane, Message, Policy
from polypool.core.report import Heartbeat


def message(id: str, task: str = "shop.pack", **fields: Any) -> Message:
    return Message(id=id, task=task, args=encode([[], {}]), sent_at=1000.0, policy=Policy(), **fields)


def delivery(id: str, **fields: Any) -> Delivery:
    made = message(id, **fields)
    return Delivery(message=made, body=encode(made), token=1, deliveries=1, taken_at=1000.0)


def heartbeat(worker: str = "w1", lease: float = 60.0) -> Heartbeat:
    return Heartbeat(worker=worker, host="here", pid=1, started_at=0.0, lease=lease)


class Away:
    """A port that raises EngineUnreachable while `is_away`, and remembers the batches it was given."""

    def __init__(self, port: Any, *verbs: str) -> None:
        self._port = port
        self._verbs = verbs
        self.is_away = False
        self.batches: list[Any] = []
        self.gate = asyncio.Event()
        self.gate.set()

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._port, name)
        if name not in self._verbs:
            return call

        async def guarded(*args: Any) -> Any:
            await self.gate.wait()
            if self.is_away:
                raise EngineUnreachable("pulled the plug")
            self.batches.append(args[0])
            return await call(*args)

        return guarded


class Engine:
    """The memory engine behind ports that can be watched and cut."""

    place = "a test"

    def __init__(self) -> None:
        engine = open_engine("memory://")
        self.broker = Away(engine.broker, "settle", "beat", "take")
        self.bus = Away(engine.bus, "append")
        self.results = engine.results
        self.ledger = engine.ledger
        self.inspector = engine.inspector

    async def taken(self, *ids: str) -> Sequence[Delivery]:
        """Put messages and take them, as a worker w1 that has said hello."""
        await self.broker.beat(heartbeat())
        await self.broker.put([message(id) for id in ids])
        return list(await self.broker.take([Lane("default", "threads")], len(ids), "w1", 0.0))


class Pool:
    """Remembers what it was asked to do."""

    kind = "threads"

    def __init__(self) -> None:
        self.ran: list[Delivery] = []
        self.cancelled: list[str] = []
        self.slots = 100

    def free(self) -> int:
        return self.slots - len(self.ran)

    def run(self, deliveries: Sequence[Delivery]) -> None:
        self.ran.extend(deliveries)

    def cancel(self, id: str) -> None:
        self.cancelled.append(id)

    async def stop(self, grace: float) -> None: ...


async def turns(condition: Any) -> None:
    """Let the loop turn until a condition holds."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0)
