"""From `yield` in a task to 1,000 watchers in one process: latency, connections, and what it costs the watchers.

python -m bench streams redis     one engine; the default: sqlite, redis and postgres
"""

import asyncio
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from bench.anywhere import another, anywhere
from bench.processes import cpu
from bench.reading import CannotMeasure, Extent, Reading, at_most
from bench.roundtrip import quantile
from bench.stand import Stand
from bench.tasks import app_of
from polypool import AsyncResult
from polypool.results.watching import Emitted

ENGINES = ("sqlite", "redis", "postgres")
MILLI = 1e3
WATCHERS = 1_000
P99_MS, CONNECTIONS = 50, 4
TOLD_EVERY_S = 1.0
BEGINS_AFTER_S = 6.0
ESTABLISHED = "01"


class Seen(NamedTuple):
    """What a crowd of watchers saw: seconds from each event's `yield` to each of its watchers, in order."""

    delays: list[float]
    connections: int
    cpu_s: float
    """Of the watching process."""


def measure(extent: Extent) -> list[Reading]:
    watchers, events = extent.pick(WATCHERS, 50), extent.pick(15, 3)
    readings: list[Reading] = []
    for engine in (extent.engine,) if extent.engine else ENGINES:
        for tasks in (1, watchers):
            with anywhere(engine) as url:
                runs = [watched(another(url), tasks, watchers, events) for _ in range(min(extent.repeats, 3))]
            readings += _readings(f"{engine}: {watchers:,} watchers of {tasks:,} task{'s' * (tasks > 1)}", runs)
    return readings


def _readings(what: str, runs: list[Seen]) -> list[Reading]:
    return [
        Reading(f"{what}, p50", "ms", [quantile(run.delays, 0.5) * MILLI for run in runs]),
        Reading("  p99", "ms", [quantile(run.delays, 0.99) * MILLI for run in runs], at_most(P99_MS)),
        Reading("  connections of the watching process", "", [run.connections for run in runs], at_most(CONNECTIONS)),
        Reading("  its processor time an event and watcher", "µs", [run.cpu_s / len(run.delays) * 1e6 for run in runs]),
    ]


def watched(broker: str, tasks: int, watchers: int, events: int) -> Seen:
    """Each task yields once a second, all of them at other moments; each watcher follows one of them."""
    with Stand(broker) as stand:
        stand.worker("bench.tasks:ON_ASYNCIO", "--pool", f"asyncio={max(tasks, 10)}").wait_ready()
        return asyncio.run(_watched(stand.broker, tasks, watchers, events))


async def _watched(broker: str, tasks: int, watchers: int, events: int) -> Seen:
    before = connections()
    app = app_of("asyncio", broker=broker)
    try:
        tell = app.tasks["tell"]
        began = time.time() + BEGINS_AFTER_S
        group = await tell.astarmap((began + TOLD_EVERY_S * n / tasks, TOLD_EVERY_S, events) for n in range(tasks))
        delays: list[float] = []
        most = 0
        async with asyncio.TaskGroup() as watching:
            for number in range(watchers):
                watching.create_task(_watch(group.results[number % tasks], delays))
            await asyncio.sleep(max(began - time.time(), 0))
            at_first = cpu(os.getpid())
            most = connections() - before
        spent = cpu(os.getpid()) - at_first
    finally:
        app.close()
    if len(delays) != watchers * events:
        raise CannotMeasure(f"{len(delays):,} events came, {watchers * events:,} should have")
    return Seen(sorted(delays), most, spent)


async def _watch(result: AsyncResult[Any], delays: list[float]) -> None:
    async for event in result.aevents():
        if isinstance(event, Emitted):
            delays.append(time.time() - event.at)


def connections() -> int:
    """How many TCP connections this process has."""
    own = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            own.add(descriptor.readlink().name.removeprefix("socket:[").removesuffix("]"))
    rows = [
        row.split()
        for table in ("tcp", "tcp6")
        for row in Path("/proc/self/net", table).read_text(encoding="ascii").splitlines()[1:]
    ]
    return sum(row[3] == ESTABLISHED and row[9] in own for row in rows)
