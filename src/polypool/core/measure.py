"""Tally: what the runs of one task in one pool took, summed up. Additive, so workers and engines can merge them."""

import math
from itertools import zip_longest

import msgspec

from polypool.core.outcome import Usage

BUCKETS = 48
SHORTEST = 1e-5
"""Upper bound of the first bucket, in seconds; each further bucket is half again as long (√2 would be finer than the
data deserves): the last but one ends at LONGEST, 21 minutes, and the last holds all above."""
RATIO = 1.5
LONGEST = SHORTEST * RATIO ** (BUCKETS - 2)


class Tally(msgspec.Struct, array_like=True):
    """Counts and summed seconds. `cpu` sums over `cpu_runs` runs only: CPU is sampled for short calls."""

    task: str
    pool: str
    succeeded: int = 0
    failed: int = 0
    retried: int = 0
    cancelled: int = 0
    lost: int = 0
    wall: float = 0.0
    wait: float = 0.0
    cpu: float = 0.0
    cpu_wall: float = 0.0
    """Wall seconds of just those runs whose CPU was measured."""
    cpu_runs: int = 0
    blocked: int = 0
    """Times a run was seen blocking an event loop."""
    walls: list[int] = msgspec.field(default_factory=lambda: [0] * BUCKETS)
    """Histogram of wall times, see `bucket`."""
    busy: float = 0.0
    """Seconds during which at least one run was under way, in whatever worker."""
    last_end: float | None = None
    """Unix time at which the latest run ended."""
    first_start: float | None = None
    """Unix time at which the earliest run began."""

    @property
    def runs(self) -> int:
        return self.succeeded + self.failed + self.retried + self.cancelled + self.lost

    @property
    def mean_wall(self) -> float:
        """Seconds; nan before the first run."""
        return self.wall / self.runs if self.runs else math.nan

    @property
    def cpu_share(self) -> float | None:
        """CPU seconds per wall second where it was measured, 0 to about 1."""
        return self.cpu / self.cpu_wall if self.cpu_wall > 0 else None

    @property
    def cpu_per_run(self) -> float | None:
        """Mean CPU seconds of one run where it was measured."""
        return self.cpu / self.cpu_runs if self.cpu_runs else None

    @property
    def concurrency(self) -> float | None:
        """Runs under way at once while there were any: Little's law, arrival rate × mean wall."""
        return self.wall / self.busy if self.busy > 0 else None

    @property
    def processors(self) -> float | None:
        """Processors that the runs used together while there were any.

        Tells what `cpu_share` cannot: threads that compute wait for each other, so the share of each is small.
        """
        if self.busy <= 0 or self.cpu_per_run is None:
            return None
        return self.cpu_per_run * sum(self.walls) / self.busy

    def quantile(self, q: float) -> float:
        """Wall seconds that a share `q` of the runs did not exceed; nan before the first run, inf beyond LONGEST.

        Within a bucket the runs are taken to be spread evenly on its logarithmic scale: right to the width of a bucket.
        """
        seen, wanted = 0, q * sum(self.walls)
        if wanted <= 0:
            return math.nan
        for index, count in enumerate(self.walls[:-1]):
            if count and seen + count >= wanted:
                return SHORTEST * math.pow(RATIO, index - 1 + (wanted - seen) / count)
            seen += count
        return math.inf

    def add(self, usage: Usage, wait: float) -> None:
        """Count one run's times; the caller counts how it ended."""
        self.wall += usage.wall
        self.wait += wait
        if usage.cpu is not None:
            self.cpu += usage.cpu
            self.cpu_wall += usage.wall
            self.cpu_runs += 1
        self.walls[bucket(usage.wall)] += 1
        self._extend(usage.started_at, usage.started_at + usage.wall)

    def _extend(self, start: float, end: float) -> None:
        """Count the part of a run that came after all earlier ones had ended.

        Runs are added as they end, so of a long one during which a short one ended only the rest counts: an estimate
        from below where a task's runs are of very different lengths, exact where they do not overlap.
        """
        before = self.last_end
        if before is None or end > before:
            self.busy += end - (start if before is None or start > before else before)
            self.last_end = end
        if self.first_start is None or start < self.first_start:
            self.first_start = start

    def _join(self, other: "Tally") -> None:
        """Count the time that another tally covers and this one does not.

        Runs outlast the interval between two reports, so a later report's first runs began within the earlier one's
        time: what they share is counted once.
        """
        if other.first_start is None or other.last_end is None:
            return
        if self.first_start is None or self.last_end is None:
            self.busy, self.first_start, self.last_end = other.busy, other.first_start, other.last_end
            return
        shared = min(self.last_end, other.last_end) - max(self.first_start, other.first_start)
        self.busy += other.busy - min(max(shared, 0.0), self.busy, other.busy)
        self.first_start = min(self.first_start, other.first_start)
        self.last_end = max(self.last_end, other.last_end)

    def merge(self, other: "Tally") -> None:
        """Add another tally of the same task and pool to this one."""
        self.succeeded += other.succeeded
        self.failed += other.failed
        self.retried += other.retried
        self.cancelled += other.cancelled
        self.lost += other.lost
        self.wall += other.wall
        self.wait += other.wait
        self.cpu += other.cpu
        self.cpu_wall += other.cpu_wall
        self.cpu_runs += other.cpu_runs
        self.blocked += other.blocked
        self.walls = [mine + theirs for mine, theirs in zip_longest(self.walls, other.walls, fillvalue=0)]
        self._join(other)


_LOG_RATIO = math.log(RATIO)


def bucket(seconds: float) -> int:
    """Which bucket of `Tally.walls` a wall time falls in."""
    if seconds <= SHORTEST:
        return 0
    return min(math.ceil(math.log(seconds / SHORTEST) / _LOG_RATIO), BUCKETS - 1)
