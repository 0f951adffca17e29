"""Chains: what a step costs, a thousand at once beside Celery, and what a workflow takes up in an engine.

python -m bench chains redis          sqlite, postgres, rabbitmq, or a URL; the default: all four
"""

import sqlite3
import statistics
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from bench.anywhere import another, anywhere
from bench.crowd import Crowd, Plan, celery_crowd, crowd
from bench.reading import CannotMeasure, Extent, Reading, at_least, at_most
from bench.stand import Stand
from bench.tasks import app_of
from polypool import chain, chord, group

ENGINES = ("redis", "sqlite", "postgres", "rabbitmq")
STEPS, WARM_UP = 100, 3
CELERY_SLOTS = 100
SCALED_SCAN = 4.17 * 40
"""Chains a second at the provider's limit, with all times at 1/40: shared/workloads/scan.md."""
CHORDS, MEMBERS = 6, 10
WITHIN_S = 60.0
MILLI, KILO = 1e3, 1e3


def measure(extent: Extent) -> list[Reading]:
    engines = (extent.engine,) if extent.engine else ENGINES
    readings: list[Reading] = []
    for engine in engines:
        readings += _step(engine, extent)
    if "redis" in engines:
        readings += _thousand(extent)
    for engine in engines:
        if engine in ("redis", "sqlite"):
            readings += _bytes(engine)
    return readings


def _step(engine: str, extent: Extent) -> list[Reading]:
    runs = extent.pick(full=20, quick=2)
    with anywhere(engine) as url:
        samples = [statistics.median(one_after_the_other(another(url), runs)) for _ in range(extent.repeats)]
    goal = at_most(1.0) if engine == "redis" else None
    return [Reading(f"{engine}: a chain of {STEPS} no-op steps, a step", "ms", samples, goal)]


def one_after_the_other(broker: str, runs: int) -> list[float]:
    """Milliseconds a step, from `delay` until `get` has returned."""
    took = []
    with Stand(broker) as stand:
        echo = stand.tasks("asyncio")["echo"]
        stand.worker("bench.tasks:ON_ASYNCIO").wait_ready()
        for number in range(WARM_UP + runs):
            steps = chain(echo.s(number), *(echo.s() for _ in range(STEPS - 1)))
            began = time.perf_counter()
            value = steps.delay().get(timeout=WITHIN_S)
            took.append((time.perf_counter() - began) * MILLI / STEPS)
            if value != number:
                raise AssertionError(f"the chain came to {value!r}")
    return took[WARM_UP:]


def _thousand(extent: Extent) -> list[Reading]:
    plan = Plan(1000, 12.0, 4.0, 0.25) if not extent.is_quick else Plan(100, 3.0, 1.2, 0.25)
    ours: list[Crowd] = []
    theirs: list[Crowd] = []
    for _ in range(min(extent.repeats, 3)):
        with anywhere("redis") as url:
            ours.append(crowd(plan, url))
        try:
            theirs.append(celery_crowd(plan, CELERY_SLOTS))
        except CannotMeasure as error:
            print(f"Celery's chains: {error}")
            break
    name = f"redis: {plan.chains:,} chains of 4 × {plan.step:g} s at once"
    readings = [
        Reading(name, "chains/s", [one.rate for one in ours], at_least(SCALED_SCAN), "the scaled scan's limit"),
        Reading("  longer than its steps, p50", "ms", [one.overhead_ms for one in ours]),
    ]
    if theirs:
        ratios = [one.rate / other.rate for one, other in zip(ours, theirs, strict=False)]
        readings += [
            Reading(f"Celery gevent={CELERY_SLOTS}, RabbitMQ + Redis", "chains/s", [one.rate for one in theirs]),
            Reading("  longer than its steps, p50", "ms", [one.overhead_ms for one in theirs]),
            Reading("ratio of chains a second", "×", ratios, at_least(20)),
        ]
    return readings


def _bytes(engine: str) -> list[Reading]:
    """As it was sent, and with all of its results."""
    with anywhere(engine) as url, Stand(another(url)) as stand:
        tasks = stand.tasks("asyncio")
        # Whatever the engine and the worker need for themselves is there before.
        worker = stand.worker("bench.tasks:ON_ASYNCIO")
        worker.wait_ready()
        tasks["echo"].delay(0).get(timeout=WITHIN_S)
        worker.stop()
        before = size(stand.broker)
        sent = chords(stand.broker)
        as_sent = size(stand.broker) - before
        stand.worker("bench.tasks:ON_ASYNCIO")
        sent.get(timeout=WITHIN_S)
        ended = size(stand.broker) - before
    name = f"{engine}: a chain of {CHORDS} chords × {MEMBERS}"
    return [
        Reading(f"{name}, as it was sent", "KB", [as_sent / KILO], at_most(200)),
        Reading(f"{name}, ended, its results kept", "KB", [ended / KILO], at_most(200)),
    ]


def chords(broker: str) -> Any:
    """Send it; each body's list goes on to every member of the next chord."""
    app = app_of("asyncio", broker=broker)
    echo, count = app.tasks["echo"], app.tasks["count"]
    first = chord(group(echo.s(n) for n in range(MEMBERS)), count.s())
    more = (chord(group(echo.s() for _ in range(MEMBERS)), count.s()) for _ in range(CHORDS - 1))
    return chain(first, *more).delay()


def size(url: str) -> int:
    """Bytes that an engine uses for its data."""
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        path = Path(parts.path.removeprefix("/") if parts.path.startswith("//") else parts.path)
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            [[pages, free, each]] = connection.execute(
                "SELECT page_count, freelist_count, page_size FROM pragma_page_count, pragma_freelist_count,"
                " pragma_page_size"
            )
        connection.close()
        return int((pages - free) * each)
    import redis

    prefix = parse_qs(parts.query).get("prefix", [""])[0]
    with redis.Redis(parts.hostname or "", parts.port or 6379) as client:
        keys = client.scan_iter(match=f"*{prefix}*", count=1000)
        return sum(int(client.memory_usage(key, samples=0) or 0) for key in keys)
