"""CPU of a worker that has nothing to do, with its children, and of the engine's server where it is on this machine.

python -m bench idle redis            sqlite, postgres, or any URL
"""

import time

from bench.anywhere import another, anywhere
from bench.processes import cpu_precise, listening_on, tree
from bench.reading import Extent, Reading, at_most
from bench.stand import Stand

CALM_S = 3.0
"""After the first tasks, until what starting up left to do is done."""
PERCENT = 100.0


def measure(extent: Extent) -> list[Reading]:
    seconds = extent.pick(full=30, quick=5)
    workers, servers = [], []
    with anywhere(extent.engine or "redis") as url:
        for _ in range(min(extent.repeats, 3)):
            worker, server = idle(another(url), float(seconds))
            workers.append(worker * PERCENT)
            servers.append(server * PERCENT)
    return [
        Reading(f"supervisor and children, over {seconds} s", "% of a core", workers, at_most(0.5)),
        Reading("the engine's server", "% of a core", servers, note="0 where it is elsewhere, or there is none"),
    ]


def idle(url: str, seconds: float) -> tuple[float, float]:
    """Share of a core that an idle worker uses, and that its engine's server uses meanwhile."""
    with Stand(url) as stand:
        worker = stand.worker("bench.tasks:ON_ASYNCIO")
        worker.wait_ready()
        stand.tasks("asyncio")["echo"].map(range(100), progress=False).get(timeout=60)
        server = listening_on(url)
        time.sleep(CALM_S)
        watched = [tree(worker.pid), tree(server) if server else []]
        before = [sum(map(cpu_precise, pids)) for pids in watched]
        began = time.perf_counter()
        time.sleep(seconds)
        took = time.perf_counter() - began
        of_worker, of_server = (sum(map(cpu_precise, pids)) - was for pids, was in zip(watched, before, strict=True))
        return of_worker / took, of_server / took
