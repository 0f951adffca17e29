"""No-op tasks drained by one worker from a SQLite file on disk, results stored, beside raw sqlite3."""

import time

from bench.processes import cpu
from bench.raw_sqlite import take_and_settle
from bench.reading import Extent, Reading, at_least, at_most
from bench.stand import Stand, until

WITHIN_S = 60.0
MICRO = 1e6


def measure(extent: Extent) -> list[Reading]:
    count = extent.pick(full=60_000, quick=8_000)
    raw: list[float] = []
    ours: list[float] = []
    cpus: list[float] = []
    for _ in range(extent.repeats):
        raw.append(take_and_settle(count))
        rate, cpu_per_task = drain(count)
        ours.append(rate)
        cpus.append(cpu_per_task * MICRO)
    ratios = [one / other for one, other in zip(ours, raw, strict=True)]
    return [
        Reading("raw sqlite3: take + settle in batches of 100", "tasks/s", raw),
        Reading("polypool: one worker, asyncio pool", "tasks/s", ours),
        Reading("ratio to raw sqlite3", "×", ratios, at_least(0.5), "0.3 at the least"),
        Reading("supervisor's CPU per task", "µs", cpus, at_most(25), "of the whole process, SQLite included"),
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
