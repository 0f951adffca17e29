"""What was published for the same pipeline on Celery prefork: the figures that the demo's stand beside.

Measured elsewhere, on 2 virtual CPUs and 4 GB, with 100 users and a real provider; stage times over 126
requests. At `scale` the demo's clock runs that many times as fast, so their times are divided by it
and their rates multiplied. rule and reward are milliseconds of work: nearly all of their published
time was spent waiting for a free process.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Duration:
    """A published mean and, where there is one, 99th percentile, in seconds."""

    mean_s: float
    p99_s: float | None = None

    def at(self, scale: float) -> "Duration":
        return Duration(self.mean_s / scale, self.p99_s / scale if self.p99_s is not None else None)


ENGINE = "Celery prefork, 3 × 8"
USERS = 100
CHAINS_PER_MINUTE = 1.94
SUCCESS = 1.0
CHAIN = Duration(41.65)
STAGES = {
    "vision": Duration(12.25, 37.91),
    "rule": Duration(8.40, 49.75),
    "answer": Duration(14.13, 46.63),
    "reward": Duration(5.38, 15.11),
}
MEMORY_MB_PER_PROCESS = 150
