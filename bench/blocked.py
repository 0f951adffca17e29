"""An event loop that a task blocks: no lease lost, nothing run twice, and a warning that comes soon."""

import time
from collections import Counter

from bench.reading import Extent, Reading, at_least, at_most
from bench.stand import Stand, until

WARNED = r"task block .* has blocked"
BEHIND = 50
"""Tasks that the blocked worker holds meanwhile."""


def measure(extent: Extent) -> list[Reading]:
    seconds = extent.pick(full=30, quick=3)
    lease = extent.pick(full=6, quick=1)
    outcomes = [block_a_loop(seconds, lease) for _ in range(1 if extent.is_quick else min(extent.repeats, 2))]
    warned, ended, reruns, strayed = zip(*outcomes, strict=True)
    about = f"blocked for {seconds} s under leases of {lease} s, with a second worker waiting to take over"
    return [
        Reading("warning after", "s", warned, at_most(2), about),
        Reading(f"tasks that ended well, of {BEHIND + 1}", "", ended, at_least(BEHIND + 1)),
        Reading("tasks run twice", "", reruns, at_most(0)),
        Reading("leases lost to the second worker", "", strayed, at_most(0)),
    ]


def block_a_loop(seconds: int, lease: int) -> tuple[float, int, int, int]:
    """Seconds until the warning, tasks that ended well, runs beyond the first, runs outside the blocked worker."""
    with Stand() as stand:
        tasks = stand.tasks("asyncio")
        blocking = tasks["block"].delay(0, seconds)
        behind = tasks["visit"].starmap(((number, 0.0) for number in range(1, BEHIND + 1)), progress=False)
        options = ("--heartbeat", str(lease))
        worker = stand.worker("bench.tasks:ON_ASYNCIO", *options)
        until(stand.runs, "the blocking task to begin", 30, worker)
        began = stand.runs()[0].began
        until(lambda: worker.said(WARNED), "a warning of the blocked loop", seconds + 10, worker)
        warned = time.time() - began
        own = set(worker.children())
        stand.worker("bench.tasks:ON_ASYNCIO", *options).wait_ready()
        blocking.get(timeout=seconds + 30)
        behind.get(timeout=30)
        runs = Counter(run.number for run in stand.runs())
        strayed = sum(run.pid not in own for run in stand.runs())
        ended = len({run.number for run in stand.runs() if run.ended is not None})
        return warned, ended, sum(runs.values()) - len(runs), strayed
