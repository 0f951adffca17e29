"""Placement: which pool a task of `pool="auto"` belongs in, from what its runs took. Pure.

Also the words "burns" and "waits", which advice uses too: one definition of a task in the wrong place.
"""

from collections.abc import Mapping

from polypool.core.measure import Tally

MIN_RUNS = 20
"""Before that many runs nothing is concluded: first runs import modules, open connections and fill caches."""
MIN_CPU_RUNS = 5
"""CPU is sampled for short calls; fewer samples than this are an anecdote."""

BURNS_SHARE = 0.5
"""A run that computes more than half of its time gains more from a process than it loses by being one of few."""
WAITS_SHARE = 0.2
"""Below that a process idles four fifths of the time. Lower than BURNS_SHARE, so that a task does not swing."""
BURNS_WALL = 0.010
"""Seconds. Shorter runs delay their neighbours less than the way to another process costs in tail latency."""
WAITS_WALL = 0.050
"""Seconds. A process that waits for less than this per run is hardly missed by anybody."""

CROWDED_PROCESSORS = 0.7
"""Threads and coroutines of one process share one GIL: at 1.0 it is full, and from here on queueing shows."""

BLOCKS_SHARE = 0.1
"""A loop blocked in every tenth run is the task's habit; one time may have been a first import or a slow disk."""
BLOCKS_TIMES = 2


def is_measured(tally: Tally) -> bool:
    """Whether there were enough runs, and enough CPU samples among them, to conclude anything."""
    return tally.runs >= MIN_RUNS and tally.cpu_runs >= MIN_CPU_RUNS


def burns(tally: Tally) -> bool:
    """Whether runs mostly compute, by the CPU share of each."""
    return tally.mean_wall > BURNS_WALL and (tally.cpu_share or 0.0) > BURNS_SHARE


def crowds(tally: Tally, children: int = 1) -> bool:
    """Whether runs together fill a processor for each child although each one's CPU share is not large.

    So it looks when threads compute: each waits for the others' GIL, and its share falls as their number grows.
    """
    return (tally.cpu_per_run or 0.0) > BURNS_WALL and (tally.processors or 0.0) > CROWDED_PROCESSORS * children


def waits(tally: Tally) -> bool:
    """Whether runs mostly wait."""
    share = tally.cpu_share
    return tally.mean_wall > WAITS_WALL and share is not None and share < WAITS_SHARE


def blocks(tally: Tally) -> bool:
    """Whether blocking the event loop is this task's habit."""
    return tally.blocked >= BLOCKS_TIMES and tally.blocked >= BLOCKS_SHARE * tally.runs


def place(is_async: bool, tally_by_pool: Mapping[str, Tally], current: str | None) -> str:
    """The pool for the next runs of a task that left the choice to polypool.

    `tally_by_pool` holds what its runs took in each pool so far; `current` is where it runs now, None at the start.
    A `def` begins on threads and an `async def` on the event loop; whichever computes or blocks goes to processes,
    where nothing dilutes its CPU share, and comes back if that turns out small.
    """
    shared = "asyncio" if is_async else "threads"
    together, alone = tally_by_pool.get(shared), tally_by_pool.get("prefork")
    if together is not None and blocks(together):
        return "prefork"
    if alone is not None and is_measured(alone):
        enough = WAITS_SHARE if current == "prefork" else BURNS_SHARE
        return "prefork" if (alone.cpu_share or 0.0) >= enough else shared
    if current == "prefork":
        return "prefork"
    if together is None or not is_measured(together):
        return shared
    return "prefork" if burns(together) or (crowds(together) and not is_async) else shared
