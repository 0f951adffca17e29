"""Tasks through a worker by the hundred thousand: what the engine holds before, at its fullest, and after.

    python -m bench memory_back redis --tasks 1000000        sqlite, postgres, or any URL (used by nobody else)

Results are kept for a few seconds, so that both what waits and what ended is seen to go.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from bench.anywhere import another, anywhere
from bench.processes import MB
from bench.reading import CannotMeasure, Extent, Reading, at_most
from bench.stand import Stand, until
from polypool.brokers.open import open_engine

WITHIN_S = 1800.0
FORGOTTEN_WITHIN_S = 300.0
LEFT = 100
"""Keys or rows that may stay: counters, lanes, the worker."""


class Footprint(NamedTuple):
    """What an engine holds: bytes, and keys or rows."""

    size: float
    things: int


def measure(extent: Extent) -> list[Reading]:
    count = extent.tasks or extent.pick(full=100_000, quick=5_000)
    with anywhere(extent.engine or "redis") as url:
        before, waiting, fullest, after = through(another(url), count)
    sizes = {"before": before, f"{count:,} waiting": waiting, "at its fullest": fullest, "after": after}
    return [
        *(Reading(f"{name}: size", "MB", [one.size / MB]) for name, one in sizes.items()),
        *(Reading(f"{name}: keys or rows", "", [float(one.things)]) for name, one in sizes.items()),
        Reading("a waiting task", "bytes", [(waiting.size - before.size) / count]),
        Reading("left behind: keys or rows", "", [float(after.things - before.things)], at_most(LEFT)),
        Reading("left behind a task", "bytes", [(after.size - before.size) / count]),
    ]


def through(url: str, count: int) -> tuple[Footprint, Footprint, Footprint, Footprint]:
    """Before, with all waiting, the most that was seen, and once all is forgotten."""
    look = looker(url)
    with Stand(url) as stand:
        task = stand.tasks("asyncio")["fleeting"]
        task.delay().cancel()  # makes keys or tables
        before = look()
        sent = task.starmap((() for _ in range(count)), progress=False)
        waiting = fullest = look()
        worker = stand.worker("bench.tasks:ON_ASYNCIO")
        end = time.monotonic() + WITHIN_S
        while stand.marked().count < count:
            if not worker.is_running or time.monotonic() > end:
                raise CannotMeasure(f"{stand.marked().count:,} of {count:,} tasks ended:\n{worker.last_words()}")
            fullest = max(fullest, look(), key=lambda seen: seen.size)
            time.sleep(0.5)
        until(lambda: look().things <= before.things + LEFT, "all to be forgotten", FORGOTTEN_WITHIN_S, worker, 0.5)
        assert len(sent) == count
        return before, waiting, fullest, look()


def looker(url: str) -> Callable[[], Footprint]:
    """How to look at an engine from outside."""
    scheme = url.partition(":")[0]
    if scheme in ("redis", "rediss", "unix"):
        import redis

        client = redis.Redis.from_url(url.partition("?")[0])
        return lambda: Footprint(float(client.info("memory")["used_memory"]), int(client.dbsize()))
    if scheme == "sqlite":
        return lambda: _file(Path(urlsplit(url.partition("?")[0]).path[1:]))
    if scheme.startswith("postgres"):
        return lambda: asyncio.run(_database(url))
    raise CannotMeasure(f"{scheme}:// does not say what it holds")


def _file(path: Path) -> Footprint:
    import sqlite3

    size = sum(Path(f"{path}{end}").stat().st_size for end in ("", "-wal") if Path(f"{path}{end}").exists())
    with closing(sqlite3.connect(path, timeout=30)) as connection:
        (pages,) = connection.execute("PRAGMA freelist_count").fetchone()
        (page_size,) = connection.execute("PRAGMA page_size").fetchone()
        (rows,) = connection.execute("SELECT count(*) FROM task").fetchone()
    return Footprint(size - pages * page_size, rows)


async def _database(url: str) -> Footprint:
    import asyncpg

    plain, _, options = url.partition("?")
    schema = dict(pair.split("=") for pair in options.split("&"))["schema"]
    engine = open_engine(url)  # makes the tables, where they are not there yet
    await engine.broker.open()
    await engine.broker.close()
    connection = await asyncpg.connect(plain)
    try:
        size = await connection.fetchval(
            "SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relnamespace = $1::regnamespace"
            " AND relkind = 'r'",
            schema,
        )
        rows = await connection.fetchval(f'SELECT count(*) FROM "{schema}".task')
    finally:
        await connection.close()
    return Footprint(float(size or 0), int(rows))
