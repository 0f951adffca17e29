"""Makes tallies out of runs, as a worker would."""

from collections.abc import Iterable

from polypool.core.measure import Tally
from polypool.core.outcome import Usage


def tally_of(task: str, pool: str, runs: Iterable[tuple[float, float, float | None]], wait: float = 0.0) -> Tally:
    """A tally of runs that succeeded: (began at, wall, CPU) each, in seconds."""
    tally = Tally(task, pool)
    for began_at, wall, cpu in sorted(runs, key=lambda run: run[0] + run[1]):
        tally.succeeded += 1
        tally.add(Usage(began_at, wall, cpu), wait)
    return tally


def one_by_one(task: str, pool: str, wall: float, share: float | None, runs: int = 100, wait: float = 0.0) -> Tally:
    """Runs that follow each other without a gap, each of which computes this share of its time."""
    cpu = None if share is None else wall * share
    return tally_of(task, pool, ((index * wall, wall, cpu) for index in range(runs)), wait)


def together(task: str, pool: str, wall: float, cpu: float, at_once: int, wait: float = 0.0) -> Tally:
    """Five rounds of so many runs that begin and end together."""
    runs = ((index * wall, wall, cpu) for index in range(5) for _ in range(at_once))
    return tally_of(task, pool, runs, wait)
