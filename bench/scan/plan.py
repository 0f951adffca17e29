"""Plan: one case of the load test, and how long it takes. Times are real seconds unless they are said to be published.

`scale` says how many times as fast time runs: durations are divided by it and rates multiplied, amounts stay.
"""

from dataclasses import dataclass

from examples.provider.latency import CHAT, VISION, LogNormal

MINUTE_S = 60.0
REQUESTS_A_CHAIN = 2
JOIN_PER_SECOND = 10.0
STAGES: dict[str, LogNormal] = {
    "vision": VISION,
    "rule": LogNormal(8.40, 49.75),
    "answer": CHAT,
    "reward": LogNormal(5.38, 15.11),
}
"""As published over 126 requests; in examples/provider are those of the provider's two."""
CALLS = ("vision", "answer")
"""Those that ask the provider."""
ALONE_S = sum(stage.mean_s for stage in STAGES.values())
TIERS = {1: (500, 500_000), 2: (2_000, 2_000_000), 3: (5_000, 5_000_000)}
"""Requests and tokens a minute."""
SETTLES_S = 5.0
"""After the provider has halved its limit: what passes from then on counts against the new one."""


@dataclass(frozen=True)
class Plan:
    """So many users for so many seconds, counted from when the queue has found its length."""

    users: int
    tier: int = 1
    scale: float = 10.0
    seconds: float = 60.0
    workers: int = 1
    halve_at: float | None = None
    """Seconds into the counted ones."""

    @property
    def requests_per_minute(self) -> int:
        return TIERS[self.tier][0]

    @property
    def tokens_per_minute(self) -> int:
        return TIERS[self.tier][1]

    @property
    def limit(self) -> float:
        """Chains a real second that the provider lets through."""
        return self.requests_per_minute / REQUESTS_A_CHAIN / MINUTE_S * self.scale

    @property
    def alone_s(self) -> float:
        """What a chain takes by itself, on average."""
        return ALONE_S / self.scale

    @property
    def queue_s(self) -> float:
        """What a chain takes at the least, on average: by itself, or until all users before it were served."""
        return max(self.alone_s, self.users / self.limit)

    @property
    def joining_s(self) -> float:
        return self.users / (JOIN_PER_SECOND * self.scale)

    @property
    def warm_s(self) -> float:
        """Until all have joined and the first of them have come around."""
        return self.joining_s + 1.5 * self.queue_s

    @property
    def length_s(self) -> float:
        return self.warm_s + self.seconds
