"""Tasks that only wait, as many at once as the pool has slots: how close to the ideal time, and in how much memory."""

from dataclasses import dataclass

from bench.processes import pss
from bench.reading import CannotMeasure, Extent, Reading, at_most
from bench.stand import Stand

MEMORY_EVERY_S = 0.25


@dataclass(frozen=True)
class Plan:
    """So many naps of so many seconds over so many slots."""

    kind: str
    task: str
    target: str
    slots: int
    count: int
    seconds: float

    @property
    def ideal(self) -> float:
        return self.count / self.slots * self.seconds

    @property
    def name(self) -> str:
        return f"{self.count:,} × sleep({self.seconds:g}) at {self.kind}={self.slots}"


FULL = (
    Plan("asyncio", "nap", "ON_ASYNCIO", 5000, 10_000, 1.0),
    Plan("gevent", "doze", "ON_GEVENT", 1000, 5_000, 1.0),
    Plan("threads", "doze", "ON_THREADS", 200, 2_000, 0.5),
)
QUICK = (
    Plan("asyncio", "nap", "ON_ASYNCIO", 1000, 2_000, 0.5),
    Plan("gevent", "doze", "ON_GEVENT", 200, 400, 0.5),
    Plan("threads", "doze", "ON_THREADS", 50, 100, 0.5),
)


def measure(extent: Extent) -> list[Reading]:
    readings = []
    for plan in QUICK if extent.is_quick else FULL:
        runs = [sleep_all(plan) for _ in range(extent.repeats)]
        is_async = plan.kind == "asyncio"
        limit, memory_limit = at_most(1.15 if is_async else 1.1), at_most(150) if is_async else None
        ratios = [wall / plan.ideal for wall, _ in runs]
        readings.append(Reading(plan.name, "× ideal", ratios, limit, f"ideal {plan.ideal:g} s"))
        readings.append(Reading("  whole worker at its largest", "MB PSS", [peak for _, peak in runs], memory_limit))
    return readings


def sleep_all(plan: Plan) -> tuple[float, float]:
    """Seconds from the first start to the last end, and the most memory the whole worker had."""
    with Stand() as stand:
        task = stand.tasks(plan.kind)[plan.task]
        task.map((plan.seconds for _ in range(plan.count)), progress=False)
        worker = stand.worker(f"bench.tasks:{plan.target}", "--pool", f"{plan.kind}={plan.slots}")
        peak, rounds = 0.0, int((30 + 3 * plan.ideal) / MEMORY_EVERY_S)
        for _ in range(rounds):
            try:
                seen = stand.wait_marked(plan.count, MEMORY_EVERY_S, worker)
            except CannotMeasure:
                if not worker.is_running:
                    raise
                peak = max(peak, pss(worker.pid))
            else:
                return seen.last_end - seen.began, peak
        raise CannotMeasure(f"{plan.name}: not all had ended after {rounds * MEMORY_EVERY_S:g} s")
