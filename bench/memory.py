"""Memory of an idle worker with all of its processes, once each pool has run tasks."""

from bench.processes import pss
from bench.reading import CannotMeasure, Extent, Reading, at_most
from bench.stand import Stand, WorkerProcess, until

SETTLED_WITHIN = 0.01
"""Two readings half a second apart that differ by less than this share: it is idle."""
EACH_FURTHER_MB = 15


def measure(extent: Extent) -> list[Reading]:
    many = extent.pick(full=24, quick=4)
    loop, eight, twenty_four, heavy_one, heavy_eight = [], [], [], [], []
    for _ in range(extent.repeats):
        loop.append(idle_memory("asyncio", "echo", "bench.tasks:ON_ASYNCIO"))
        eight.append(idle_memory("prefork", "reply", "bench.tasks:ON_PREFORK", 8))
        twenty_four.append(idle_memory("prefork", "reply", "bench.tasks:ON_PREFORK", many))
        heavy_one.append(idle_memory("prefork", "reply", "bench.heavy:app", 1))
        heavy_eight.append(idle_memory("prefork", "reply", "bench.heavy:app", 8))
    further = [(eight - one) / 7 for one, eight in zip(heavy_one, heavy_eight, strict=True)]
    return [
        Reading("asyncio pool", "MB PSS", loop, at_most(60)),
        Reading("prefork=8", "MB PSS", eight, at_most(150), "Celery: 232"),
        Reading(f"prefork={many}", "MB PSS", twenty_four, at_most(300), "Celery at 24: 614"),
        Reading("an app that imports 100 MB, prefork=1", "MB PSS", heavy_one),
        Reading("the same, prefork=8", "MB PSS", heavy_eight),
        Reading("the same, each further child", "MB PSS", further, at_most(EACH_FURTHER_MB)),
    ]


def idle_memory(kind: str, task: str, target: str, children: int = 1) -> float:
    with Stand() as stand:
        options = ("--pool", f"prefork={children}") if kind == "prefork" else ()
        worker = stand.worker(target, *options)
        worker.wait_ready()
        until(lambda: len(worker.children()) >= children, f"{children} children", 30, worker)
        stand.tasks(kind)[task].map(range(20 * children), progress=False).get(timeout=30)
        return steady_pss(worker)


def steady_pss(worker: WorkerProcess) -> float:
    """Once it no longer changes. A few pages more or less do not matter; a child still starting does."""
    before = 0.0
    for _ in range(40):
        now = pss(worker.pid)
        if before and abs(now - before) <= SETTLED_WITHIN * before:
            return now
        before = now
        try:
            until(lambda: not worker.is_running, "the worker to end", 0.5)
        except CannotMeasure:
            continue  # still running, as it should
        raise CannotMeasure(f"the worker ended while idle:\n{worker.last_words()}")
    raise CannotMeasure("the worker's memory did not settle within 20 s")
