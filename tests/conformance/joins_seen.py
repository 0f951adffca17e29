"""What the suites of joins on PostgreSQL share: engines of several workers, and members to end."""

from collections.abc import Sequence
from typing import TypeVar

from polypool.brokers.open import open_engine
from polypool.brokers.postgres.engine import PostgresEngine
from polypool.core.decide import decide
from polypool.core.join import Flow, Next
from polypool.core.message import Delivery
from polypool.core.outcome import Done, Failed, Failure, Outcome, Settlement
from tests.conformance.scene import LANE, heartbeat, message

T = TypeVar("T")

LEASE = 6000.0
DONE = Done(b"\xc0")
BOOM = Failed(Failure("builtins.ValueError", "boom"))


async def opened(url: str, worker: str) -> PostgresEngine:
    engine = open_engine(url)
    assert isinstance(engine, PostgresEngine)
    await engine.broker.open()
    await engine.broker.beat(heartbeat(worker, lease=LEASE))
    return engine


def ended(delivery: Delivery, outcome: Outcome = DONE) -> Settlement:
    return decide(delivery, outcome, delivery.taken_at, lambda: 0.5)


async def take(engine: PostgresEngine, worker: str = "w1", limit: int = 10_000) -> list[Delivery]:
    return await engine.broker.take([LANE], limit, worker, 0)


async def pair(engine: PostgresEngine, waits: int, *before: str) -> tuple[Delivery, Delivery]:
    """The last two members of a join, taken; what comes before them has ended."""
    names = [*before, "m", "n"]
    await engine.broker.put([message("body", flow=Flow(waits))])
    await engine.broker.put([message(name, flow=Flow(then=(Next("body", at),))) for at, name in enumerate(names)])
    taken = {one.id: one for one in await take(engine)}
    for name in before:
        assert await engine.broker.settle([ended(taken[name])]) == [True]
    return taken["m"], taken["n"]


def cut(items: Sequence[T], size: int) -> list[Sequence[T]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
