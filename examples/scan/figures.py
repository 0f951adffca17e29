"""What the demo's users saw, as figures. Pure: chains in, numbers out."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from examples.scan.users import Chain


@dataclass(frozen=True)
class Spread:
    """Some durations summed up, in seconds."""

    mean_s: float
    p50_s: float
    p95_s: float
    p99_s: float

    @classmethod
    def of(cls, durations_s: Iterable[float]) -> "Spread | None":
        ordered = sorted(durations_s)
        if not ordered:
            return None
        return cls(statistics.fmean(ordered), quantile(ordered, 0.5), quantile(ordered, 0.95), quantile(ordered, 0.99))


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value that a share of them does not exceed (nearest rank)."""
    return ordered[max(0, -(-int(share * 1000) * len(ordered) // 1000) - 1)]


@dataclass(frozen=True)
class Figures:
    """One run of the demo."""

    chains: int
    failed: int
    recognised: int
    chains_per_minute: float
    chain: Spread | None
    first_word: Spread | None
    stages: dict[str, Spread]

    @property
    def success(self) -> float:
        return 1 - self.failed / self.chains if self.chains else 0.0


def figures_of(chains: Sequence[Chain], counted_from: float, counted_until: float) -> Figures:
    """Sum up. Throughput is that of the chains that ended within the two moments (time.monotonic())."""
    good = [chain for chain in chains if chain.is_good]
    counted = [chain for chain in good if counted_from <= (chain.ended_at or 0) < counted_until]
    per_stage: dict[str, list[float]] = {}
    for chain in good:
        for stage, duration_s in chain.stage_durations_s().items():
            per_stage.setdefault(stage, []).append(duration_s)
    return Figures(
        chains=len(chains),
        failed=len(chains) - len(good),
        recognised=sum(chain.is_recognised for chain in good),
        chains_per_minute=60 * len(counted) / max(1e-9, counted_until - counted_from),
        chain=Spread.of(chain.duration_s for chain in good),
        first_word=Spread.of(chain.first_word_at - chain.sent_at for chain in good if chain.first_word_at),
        stages={stage: spread for stage, took in per_stage.items() if (spread := Spread.of(took))},
    )
