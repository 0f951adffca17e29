"""The provider's limits: so many requests and so many tokens a minute, or a 429.

Each is a token bucket that holds one minute's worth and refills evenly. Tokens are set aside for the longest answer
when a request comes in; those that it did not use come back when the answer is complete. With `scale`, time runs that
many times as fast: a minute lasts 60 / scale seconds, while the amounts stay as they are.
"""

from dataclasses import dataclass

MINUTE_S = 60.0


@dataclass(frozen=True)
class Level:
    """How a bucket stands: what it holds at most, what is left, and when it will be full again."""

    limit: int
    remaining: int
    full_in_s: float


@dataclass(frozen=True)
class Verdict:
    """Whether a request may pass, and if not, which limit stopped it and for how long."""

    requests: Level
    tokens: Level
    stopped_by: str = ""  # "requests", "tokens" or nothing
    retry_after_s: float = 0.0

    @property
    def granted(self) -> bool:
        return not self.stopped_by


class Bucket:
    """One limit. It never reads a clock: every question brings its own `now`, in seconds."""

    def __init__(self, per_minute: int, scale: float, now: float) -> None:
        self.limit = per_minute
        self.refill_per_s = per_minute * scale / MINUTE_S
        self._held = float(per_minute)
        self._at = now

    def wait_for(self, amount: int, now: float) -> float:
        """Seconds until `amount` is there; 0.0 when it is there now."""
        self._refill(now)
        missing = min(amount, self.limit) - self._held
        # A billionth is what adding up fractions may lose; it must not cost a client a second 429.
        return max(0.0, missing / self.refill_per_s) if missing > 1e-9 else 0.0

    def take(self, amount: int, now: float) -> None:
        self._refill(now)
        self._held -= amount

    def give_back(self, amount: int, now: float) -> None:
        self.take(-amount, now)
        self._held = min(float(self.limit), self._held)

    def change(self, per_minute: int, now: float) -> None:
        """Another limit from now on; what is left above it is lost."""
        self._refill(now)
        self.refill_per_s *= per_minute / self.limit
        self.limit = per_minute
        self._held = min(self._held, float(per_minute))

    def level(self, now: float) -> Level:
        self._refill(now)
        full_in_s = (self.limit - self._held) / self.refill_per_s
        return Level(self.limit, max(0, int(self._held + 1e-9)), full_in_s)

    def _refill(self, now: float) -> None:
        self._held = min(float(self.limit), self._held + (now - self._at) * self.refill_per_s)
        self._at = now


class Limits:
    """Both limits of one account: a request passes both or counts against neither."""

    def __init__(self, requests_per_minute: int, tokens_per_minute: int, scale: float, now: float) -> None:
        self._requests = Bucket(requests_per_minute, scale, now)
        self._tokens = Bucket(tokens_per_minute, scale, now)

    def admit(self, tokens: int, now: float) -> Verdict:
        for_requests = self._requests.wait_for(1, now)
        for_tokens = self._tokens.wait_for(tokens, now)
        stopped_by = ""
        if for_requests or for_tokens:
            stopped_by = "requests" if for_requests >= for_tokens else "tokens"
        else:
            self._requests.take(1, now)
            self._tokens.take(tokens, now)
        return Verdict(
            self._requests.level(now),
            self._tokens.level(now),
            stopped_by,
            max(for_requests, for_tokens),
        )

    def settle(self, set_aside: int, used: int, now: float) -> None:
        """The answer to a request that was admitted is complete."""
        self._tokens.give_back(set_aside - used, now)

    def change(self, requests_per_minute: int, tokens_per_minute: int, now: float) -> None:
        """The provider thinks of other limits while it runs, as providers do."""
        self._requests.change(requests_per_minute, now)
        self._tokens.change(tokens_per_minute, now)
