"""What the pools' tests use: a watcher that remembers, deliveries, and waiting until something is so."""

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from polypool.core.codec import decode_any, encode
from polypool.core.event import Event
from polypool.core.join import Flow
from polypool.core.message import Delivery, Message, Policy
from polypool.core.outcome import Done, Failed, Outcome
from polypool.core.settings import PoolSpec
from polypool.pools.pool import ChildPool

HERE = str(Path(__file__).parent)
PATIENCE = 60.0
"""Seconds. Nothing is said by how long something took: a busy machine may stop for seconds anywhere."""
Open = Callable[..., Any]
"""What the fixture `opened` is: opens a pool for the length of a `with`."""

ASYNC = ("asyncio",)
GREENLETS = ("gevent", "eventlet")
KINDS = ("asyncio", "threads", "prefork", "solo", *GREENLETS)

_tokens = itertools.count(1)


class Seen:
    """Satisfies `core.pool_port.PoolWatcher`."""

    def __init__(self) -> None:
        self.outcomes: dict[str, Outcome] = {}
        self.events: dict[str, list[Event]] = {}
        self.blocks: list[tuple[str, str, float, str]] = []
        self.asks: list[Any] = []
        self.given_up: list[Any] = []
        self.answer: Callable[[Any], Any] = lambda ask: [True] * len(ask.messages)

    def ended(self, delivery: Delivery, outcome: Outcome) -> None:
        assert delivery.id not in self.outcomes, f"{delivery.id} ended twice"
        self.outcomes[delivery.id] = outcome

    def emitted(self, id: str, events: Sequence[Event]) -> None:
        self.events.setdefault(id, []).extend(events)

    def asked(self, ask: Any, reply: Callable[[Any, Exception | None], None]) -> Callable[[], object]:
        self.asks.append(ask)
        try:
            reply(self.answer(ask), None)
        except Exception as error:
            reply(None, error)
        return lambda: self.given_up.append(ask)

    def blocked(self, task: str, id: str, seconds: float, stack: str) -> None:
        self.blocks.append((task, id, seconds, stack))


class Bench:
    """One pool under test and what was seen of it."""

    def __init__(self, pool: ChildPool, seen: Seen) -> None:
        self.pool = pool
        self.seen = seen
        self.kind = pool.kind

    def give(self, task: str, *args: Any, deliveries: int = 1, attempt: int = 1, **policy: Any) -> str:
        """Hand one call over; its id."""
        given = delivery(task, *args, deliveries=deliveries, attempt=attempt, pool=self.kind, **policy)
        self.pool.run([given])
        return given.id

    def give_step(
        self, task: str, flow: Flow | None = None, args: Sequence[Any] = (), kwargs: Any = None, **fields: Any
    ) -> str:
        """Hand over a step of a workflow, or (`each`) a chunk; its id."""
        plain = delivery(task, *args, pool=self.kind)
        message = msgspec.structs.replace(plain.message, args=encode([list(args), kwargs or {}]), flow=flow, **fields)
        self.pool.run([msgspec.structs.replace(plain, message=message, body=encode(message))])
        return message.id

    async def ended(self, *ids: str) -> list[Outcome]:
        await until(lambda: all(id in self.seen.outcomes for id in ids))
        return [self.seen.outcomes[id] for id in ids]

    async def value(self, task: str, *args: Any, **options: Any) -> Any:
        """What a call returns that was given when there was room for it."""
        await until(lambda: self.pool.free() > 0)
        (outcome,) = await self.ended(self.give(task, *args, **options))
        assert isinstance(outcome, Done), outcome
        return decode_any(outcome.value)

    async def failure(self, task: str, *args: Any, **options: Any) -> Any:
        await until(lambda: self.pool.free() > 0)
        (outcome,) = await self.ended(self.give(task, *args, **options))
        assert isinstance(outcome, Failed), outcome
        return outcome.failure

    def coloured(self, task: str) -> str:
        """The task as this kind likes it: `async def` for asyncio."""
        return f"{task}_async" if self.kind in ASYNC else task


def delivery(
    task: str, *args: Any, deliveries: int = 1, attempt: int = 1, pool: str = "threads", **policy: Any
) -> Delivery:
    token = next(_tokens)
    message = Message(
        id=f"call-{token}",
        task=task,
        args=encode([list(args), {}]),
        pool=pool,
        attempt=attempt,
        policy=Policy(**policy),
    )
    return Delivery(message, encode(message), token, deliveries, time.time())


def spec(kind: str, children: int = 1, concurrency: int = 4) -> PoolSpec:
    return PoolSpec(kind, children, 1 if kind in ("prefork", "solo") else concurrency)


async def until(condition: Callable[[], object]) -> None:
    """Wait until it holds; fails when it does not in time."""
    ends = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < ends, f"not so within {PATIENCE} s"
        await asyncio.sleep(0.005)
