"""Pure Python on two processes, sent one by one, beside ProcessPoolExecutor(2) with large chunks."""

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor

from bench.machine import loops_for
from bench.reading import Extent, Reading, at_least
from bench.stand import Stand
from bench.tasks import burn

PROCESSES = 2
CHUNK = 50
TASK_S = 0.010


def measure(extent: Extent) -> list[Reading]:
    count, loops = extent.pick(full=2_000, quick=200), loops_for(TASK_S)
    executor: list[float] = []
    ours: list[float] = []
    for _ in range(extent.repeats):
        executor.append(count / executor_seconds(count, loops))
        ours.append(count / polypool_seconds(count, loops))
    ratios = [one / other for one, other in zip(ours, executor, strict=True)]
    return [
        Reading(f"ProcessPoolExecutor({PROCESSES}), chunks of {CHUNK}", "tasks/s", executor),
        Reading(f"polypool, prefork={PROCESSES}, sent one by one", "tasks/s", ours),
        Reading("ratio to ProcessPoolExecutor", "×", ratios, at_least(0.95), f"{count:,} tasks of 10 ms each"),
    ]


def executor_seconds(count: int, loops: int) -> float:
    # Spawned: this process has threads, and forking it under them is not sound.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(PROCESSES, mp_context=context) as executor:
        list(executor.map(burn, [loops] * 8 * PROCESSES))
        began = time.perf_counter()
        list(executor.map(burn, [loops] * count, chunksize=CHUNK))
        return time.perf_counter() - began


def polypool_seconds(count: int, loops: int) -> float:
    """From the first start to the last end."""
    with Stand() as stand:
        spin = stand.tasks("prefork")["spin"]
        for _ in range(count):
            spin.delay(loops)
        worker = stand.worker("bench.tasks:ON_PREFORK", "--pool", f"prefork={PROCESSES}")
        seen = stand.wait_marked(count, 60.0, worker)
        return seen.last_end - seen.began
