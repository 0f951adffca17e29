"""A task sent to an idle worker: from `delay` until `get` has returned.

python -m bench roundtrip redis       postgres, or any URL; the default: sqlite, a file on disk
"""

import random
import time
from collections.abc import Sequence

from bench.anywhere import another, anywhere
from bench.reading import Extent, Reading, at_most
from bench.stand import Stand

WARM_UP = 10
IDLE_S = (0.005, 0.03)
"""The pause before each trip: long enough for every loop to have gone to sleep."""
MILLI = 1e3
GOALS_MS = {"redis": 0.8, "rabbitmq": 2.0}
"""For p50; 3 ms on other engines."""


def measure(extent: Extent) -> list[Reading]:
    trips = extent.pick(full=300, quick=60)
    goal = GOALS_MS.get(extent.engine, 3.0)
    with anywhere(extent.engine or "sqlite") as url:
        loops = [round_trips("asyncio", "echo", "ON_ASYNCIO", trips, another(url)) for _ in range(extent.repeats)]
        threads = [round_trips("threads", "answer", "ON_THREADS", trips, another(url)) for _ in range(extent.repeats)]
    return [
        Reading("asyncio pool, p50", "ms", [quantile(one, 0.5) for one in loops], at_most(goal)),
        Reading("asyncio pool, p99", "ms", [quantile(one, 0.99) for one in loops], at_most(10)),
        Reading("threads pool, p50", "ms", [quantile(one, 0.5) for one in threads], at_most(goal)),
        Reading("threads pool, p99", "ms", [quantile(one, 0.99) for one in threads], at_most(10)),
    ]


def round_trips(kind: str, task: str, target: str, trips: int, broker: str | None = None) -> list[float]:
    """Milliseconds of each trip, sorted."""
    took: list[float] = []
    with Stand(broker) as stand:
        called = stand.tasks(kind)[task]
        stand.worker(f"bench.tasks:{target}").wait_ready()
        for number in range(WARM_UP + trips):
            time.sleep(random.uniform(*IDLE_S))
            began = time.perf_counter()
            called.delay(number).get(timeout=10)
            took.append((time.perf_counter() - began) * MILLI)
    return sorted(took[WARM_UP:])


def quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]
