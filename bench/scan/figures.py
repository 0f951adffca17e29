"""What a case came to: chains and samples in, numbers out. Pure. All in real seconds; who shows it undoes the scale."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from bench.roundtrip import quantile


@dataclass(frozen=True)
class Spread:
    """Some durations summed up; nan where there are none."""

    mean: float
    p50: float
    p95: float

    @classmethod
    def of(cls, durations: Iterable[float]) -> "Spread":
        ordered = sorted(durations)
        if not ordered:
            return cls(float("nan"), float("nan"), float("nan"))
        return cls(statistics.fmean(ordered), quantile(ordered, 0.5), quantile(ordered, 0.95))


class Chain(NamedTuple):
    """One user's chain as the user saw it; moments are time.monotonic()."""

    sent_at: float
    first_at: float
    """When its first event came: its first stage has begun. 0: never."""
    ended_at: float
    error: str


class Sample(NamedTuple):
    """What there was to see at one moment. `cpu`: seconds used so far, by process; `connections`: to the engine."""

    at: float
    requests: int
    refused: int
    in_flight: int
    memory_mb: float
    connections: dict[str, int]
    cpu: dict[str, float]


@dataclass(frozen=True)
class Course:
    """All that was seen of one case. It counts from `began` to `ended`; `halved` is when the provider's limit was."""

    chains: Sequence[Chain]
    samples: Sequence[Sample]
    joined_from: float
    began: float
    ended: float
    halved: float | None = None


@dataclass(frozen=True)
class Figures:
    """Rates are chains a real second; `memory_mb` is of all workers at its highest, its growth while it counted."""

    chains: int
    failed: int
    errors: dict[str, int]
    rate: float
    refused: int
    stay: Spread
    first: Spread
    memory_mb: float
    growth_mb_per_min: float
    connections: dict[str, int]
    cores: dict[str, float]
    settled_rate: float | None = None
    """Provider's requests let in a real second, from a while after it halved its limit."""
    refused_after_halving: int | None = None
    unfinished: int = field(default=0)

    @property
    def success(self) -> float:
        return 1 - self.failed / self.chains if self.chains else 0.0


def figures_of(course: Course, settles_s: float = 0.0) -> Figures:
    """Sum up what ended, and what was sampled, while it counted; 429s from the very start."""
    counted = [chain for chain in course.chains if course.began <= chain.ended_at < course.ended]
    good = [chain for chain in counted if not chain.error]
    during = [sample for sample in course.samples if course.began <= sample.at <= course.ended]
    first, last = during[0], during[-1]
    elapsed = last.at - first.at
    errors: dict[str, int] = {}
    for chain in counted:
        if chain.error:
            errors[chain.error] = errors.get(chain.error, 0) + 1
    settled, refused_after = _after_halving(course, during, settles_s)
    return Figures(
        chains=len(counted),
        failed=len(counted) - len(good),
        errors=errors,
        rate=len(good) / (course.ended - course.began),
        refused=last.refused,
        stay=Spread.of(chain.ended_at - chain.sent_at for chain in good),
        first=Spread.of(chain.first_at - chain.sent_at for chain in good if chain.first_at),
        memory_mb=max(sample.memory_mb for sample in course.samples),
        growth_mb_per_min=slope([(sample.at, sample.memory_mb) for sample in during]) * 60,
        connections={name: max(s.connections.get(name, 0) for s in during) for name in last.connections},
        cores={name: (last.cpu[name] - first.cpu.get(name, 0.0)) / elapsed for name in last.cpu},
        settled_rate=settled,
        refused_after_halving=refused_after,
    )


def _after_halving(course: Course, during: Sequence[Sample], settles_s: float) -> tuple[float | None, int | None]:
    halved = course.halved
    if halved is None:
        return None, None
    before = [sample for sample in course.samples if sample.at <= halved][-1]
    settled = [sample for sample in during if sample.at >= halved + settles_s]
    if len(settled) < 2:
        return None, during[-1].refused - before.refused
    let_in = settled[-1].requests - settled[0].requests
    return let_in / (settled[-1].at - settled[0].at), during[-1].refused - before.refused


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Of the straight line through these points with the least squares; 0 where there is none."""
    if len({x for x, _ in points}) < 2:
        return 0.0
    return statistics.linear_regression([x for x, _ in points], [y for _, y in points]).slope
