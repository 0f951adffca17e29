"""Sending: `delay()` one at a time, each accepted before the next, and `map`.

python -m bench send redis            postgres, or any URL; the default: sqlite, a file on disk
"""

import time

from bench.anywhere import another, anywhere
from bench.reading import Extent, Reading, at_least
from bench.stand import Stand


def measure(extent: Extent) -> list[Reading]:
    one_by_one, mapped = extent.pick(full=10_000, quick=2_000), extent.pick(full=200_000, quick=40_000)
    with anywhere(extent.engine or "sqlite") as url:
        delays = [delay_rate(one_by_one, another(url)) for _ in range(extent.repeats)]
        maps = [map_rate(mapped, another(url)) for _ in range(extent.repeats)]
    has_goals = not extent.engine.startswith(("rabbitmq", "amqp"))  # each waits there for a server's fsync
    return [
        Reading("delay(), one at a time, sync", "tasks/s", delays, at_least(5_000) if has_goals else None),
        Reading("map over a generator", "tasks/s", maps, at_least(50_000) if has_goals else None),
    ]


def delay_rate(count: int, broker: str | None = None) -> float:
    with Stand(broker) as stand:
        echo = stand.tasks("asyncio")["echo"]
        echo.delay(0)  # opens the file and makes the tables
        began = time.perf_counter()
        for number in range(count):
            echo.delay(number)
        return count / (time.perf_counter() - began)


def map_rate(count: int, broker: str | None = None) -> float:
    with Stand(broker) as stand:
        echo = stand.tasks("asyncio")["echo"]
        echo.delay(0)
        began = time.perf_counter()
        echo.map((number for number in range(count)), progress=False)
        return count / (time.perf_counter() - began)
