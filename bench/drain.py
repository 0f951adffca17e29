"""No-op tasks drained by one worker, results stored, beside what the engine itself gives.

python -m bench drain redis           the default: sqlite, a file on disk
"""

import asyncio
import time
from collections.abc import Callable

from bench import raw_postgres, raw_rabbitmq, raw_redis
from bench.anywhere import another, anywhere
from bench.processes import cpu
from bench.raw_sqlite import take_and_settle
from bench.reading import CannotMeasure, Extent, Reading, at_least, at_most
from bench.stand import Stand, until

WITHIN_S = 60.0
MICRO = 1e6
RAW: dict[str, Callable[[str, int], float]] = {
    "sqlite": lambda _, count: take_and_settle(count),
    "redis": lambda url, count: asyncio.run(raw_redis.raw(url, count)),
    "postgres": lambda url, count: asyncio.run(raw_postgres.raw(url, count)),
    "rabbitmq": raw_rabbitmq.client,
}
"""What the engine itself gives, by a loop without polypool: tasks a second."""
RATIO = {"sqlite": 0.5, "redis": 0.5, "postgres": 0.4, "rabbitmq": 0.5}
NOTES = {"sqlite": "0.3 at the least"}
RAW_HOW = {"rabbitmq": "py-amqp, consume + acknowledge each"}


def measure(extent: Extent) -> list[Reading]:
    engine = extent.engine or "sqlite"
    if engine not in RAW:
        raise CannotMeasure(f"there is nothing raw to compare with {engine}; there are {', '.join(RAW)}")
    count = extent.pick(full=60_000, quick=8_000)
    raw: list[float] = []
    ours: list[float] = []
    cpus: list[float] = []
    for _ in range(extent.repeats):
        with anywhere(engine) as url:
            raw.append(RAW[engine](url, count))
            rate, cpu_per_task = drain(count, another(url))
        ours.append(rate)
        cpus.append(cpu_per_task * MICRO)
    ratios = [one / other for one, other in zip(ours, raw, strict=True)]
    return [
        Reading(f"raw {engine}: {RAW_HOW.get(engine, 'take + settle in batches of 100')}", "tasks/s", raw),
        Reading("polypool: one worker, asyncio pool", "tasks/s", ours),
        Reading(f"ratio to raw {engine}", "×", ratios, at_least(RATIO[engine]), NOTES.get(engine, "")),
        Reading("supervisor's CPU per task", "µs", cpus, at_most(25), "the engine's client included"),
    ]


def drain(count: int, broker: str | None = None) -> tuple[float, float]:
    """Tasks a second from the first end until the last result is stored, and the supervisor's CPU seconds a task."""
    with Stand(broker) as stand:
        group = stand.tasks("asyncio")["noop"].starmap((() for _ in range(count)), progress=False)
        worker = stand.worker("bench.tasks:ON_ASYNCIO")
        # CPU is counted from the moment tasks flow: starting up is not part of a task.
        until(lambda: stand.marked().count > 0, "the first task to end", WITHIN_S, worker, every=0.002)
        before, cpu_before = stand.marked(), cpu(worker.pid)
        stand.wait_marked(count, WITHIN_S, worker)
        group[-1].get(timeout=WITHIN_S)
        took, used = time.time() - before.first_end, cpu(worker.pid) - cpu_before
        group.get(timeout=WITHIN_S)  # every result is there, and none is an error
        return (count - 1) / took, used / (count - before.count)
