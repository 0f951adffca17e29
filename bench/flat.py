"""Taking from an engine that holds 200,000 tasks, beside taking from an empty one.

    python -m bench flat redis            sqlite, postgres, or any URL

Two stores in one place, one empty and one with 100,000 tasks held back by a delay and 100,000 waiting; tasks are
taken by tens from both in turn, through the engine's port, in one process.
"""

import asyncio
import time
import uuid
from collections.abc import Sequence

from bench.anywhere import another, anywhere
from bench.reading import Extent, Reading, at_most
from bench.roundtrip import quantile
from polypool.brokers.open import open_engine
from polypool.core.decide import decide
from polypool.core.message import Lane, Message
from polypool.core.outcome import Done
from polypool.core.port import Engine
from polypool.core.report import Heartbeat

LANE, WORKER, TEN = Lane("default", "asyncio"), "bench", 10
AT_ONCE = 1000
MILLI = 1e3


def measure(extent: Extent) -> list[Reading]:
    lying, rounds = extent.pick(full=100_000, quick=5_000), extent.pick(full=400, quick=50)
    with anywhere(extent.engine or "redis") as url:
        empty, full = asyncio.run(takes(url, lying, rounds * extent.repeats))
    chunks = [slice(at * rounds, (at + 1) * rounds) for at in range(extent.repeats)]
    at_95 = [(quantile(sorted(empty[part]), 0.95), quantile(sorted(full[part]), 0.95)) for part in chunks]
    return [
        Reading("empty engine, p50", "ms", [quantile(sorted(empty[part]), 0.5) for part in chunks]),
        Reading(f"{lying:,} delayed and {lying:,} waiting, p50", "ms", [_p50(full[part]) for part in chunks]),
        Reading("empty engine, p95", "ms", [one for one, _ in at_95]),
        Reading("full engine, p95", "ms", [other for _, other in at_95]),
        Reading("p95, full against empty", "×", [other / one for one, other in at_95], at_most(1.5)),
    ]


def _p50(samples: Sequence[float]) -> float:
    return quantile(sorted(samples), 0.5)


async def takes(url: str, lying: int, rounds: int) -> tuple[list[float], list[float]]:
    """Milliseconds of each take from the empty store and from the full one."""
    engines = [open_engine(another(url)) for _ in range(2)]
    for engine in engines:
        await engine.broker.open()
        await engine.broker.beat(Heartbeat(WORKER, "here", 1, 1.0, 3600.0))
    await _fill(engines[1], lying)
    samples: tuple[list[float], list[float]] = [], []
    for _ in range(rounds + 10):
        for engine, took in zip(engines, samples, strict=True):
            took.append(await _take(engine))
    for engine in engines:
        await engine.broker.close()
    return samples[0][10:], samples[1][10:]


async def _fill(engine: Engine, lying: int) -> None:
    now = time.time()
    for start in range(0, lying, AT_ONCE):
        count = min(AT_ONCE, lying - start)
        await engine.broker.put([_message(now + 3600 + n) for n in range(count)])
        await engine.broker.put([_message(None) for _ in range(count)])


def _message(due: float | None) -> Message:
    args = b"\x92\x90\x80"
    return Message(uuid.uuid4().hex, "bench.noop", args, pool=LANE.pool, sent_at=time.time(), due=due)


async def _take(engine: Engine) -> float:
    """Put ten more, take ten, end them: as many lie there as before."""
    await engine.broker.put([_message(None) for _ in range(TEN)])
    began = time.perf_counter()
    taken = await engine.broker.take([LANE], TEN, WORKER, 0)
    took = time.perf_counter() - began
    if len(taken) != TEN:
        raise AssertionError(f"{len(taken)} tasks were taken, not {TEN}")
    await engine.broker.settle([decide(one, Done(b"\xc0"), time.time(), lambda: 0.5) for one in taken])
    return took * MILLI
