"""Meter: how much of one key of the ledger is used, and when there is room again. Pure arithmetic.

The generic cell rate algorithm in its form of a leaky bucket that is read as a meter (ITU-T Recommendation I.371, annex
A, which shows it equal to the one with arrival times): what passes fills the bucket, which runs dry at the key's rate;
whatever would overflow it waits. Written down as a level rather than a time, so that a rate may change meanwhile. The
Redis engine has the same in lua/meter.lua, step by step, so that both come to the same numbers.
"""

import math

import msgspec

from polypool.core.ledger import Charge, Gauge, Rate, Slot

MOMENT = 1e-6
"""Seconds too short to wait for: less than clocks tell apart, and than rounding makes of a wait that is over."""


class Meter(msgspec.Struct, array_like=True):
    """One key. `amount`, `per` and `burst` are those of the last charge; an amount of 0: there was none yet."""

    level: float = 0.0
    at: float = 0.0
    """When the level was so."""
    amount: float = 0.0
    per: float = 1.0
    burst: float = 0.0
    paused_until: float = 0.0
    adapted_amount: float = 0.0
    adapted_per: float = 1.0
    adapted_until: float = 0.0
    held: int = 0
    limit: int = 0

    def drain(self, now: float) -> None:
        """Let run out what has run out until now. A clock that goes back changes nothing."""
        if self.adapted_until > self.at:
            self._drain(min(now, self.adapted_until), self.adapted_amount / self.adapted_per)
        self._drain(now, self.amount / self.per)

    def _drain(self, then: float, rate: float) -> None:
        if then > self.at:
            self.level = max(self.level - (then - self.at) * rate, 0.0)
            self.at = then

    def declare(self, charge: Charge) -> None:
        """From now on the key's limit is as this charge says."""
        if isinstance(charge, Slot):
            self.limit = charge.limit
        else:
            self.amount, self.per, self.burst = charge.amount, charge.per, charge.burst

    def wait(self, charge: Charge, now: float) -> float:
        """Seconds until this charge may be made; 0: now, infinite: when a slot is released. After `drain`."""
        paused = max(self.paused_until - now, 0.0)
        if isinstance(charge, Slot):
            limit = self.adapted_amount if self.adapted_until > now else charge.limit
            return math.inf if self.held + 1 > limit else paused
        # A cost above the burst would never fit: it gets the bucket to itself.
        needed = self.seconds(self.level + charge.cost - max(charge.burst, charge.cost), now)
        return max(paused, needed if needed > MOMENT else 0.0)

    def seconds(self, level: float, now: float) -> float:
        """How long so much takes to run out."""
        if level <= 0.0:
            return 0.0
        left = self.adapted_until - now
        if left > 0.0:
            rate = self.adapted_amount / self.adapted_per
            if level <= left * rate or self.amount <= 0.0:
                return level / rate
            return left + (level - left * rate) / (self.amount / self.per)
        return level / (self.amount / self.per)

    def add(self, charge: Charge) -> None:
        if isinstance(charge, Rate):
            self.level += charge.cost
        else:
            self.held += 1

    def take_back(self, cost: float) -> None:
        """Give so much room again; below 0: take it. What had run out already is no room."""
        self.level = max(self.level - cost, 0.0)

    def over_at(self, now: float) -> float | None:
        """When this is as good as nothing; None while slots are held."""
        if self.held > 0:
            return None
        return max(now + self.seconds(self.level, now), self.paused_until, self.adapted_until)

    def gauge(self, key: str, now: float) -> Gauge:
        """As people see it. After `drain`."""
        is_adapted = self.adapted_until > now
        amount, per, limit = self.amount, self.per, float(self.limit)
        if is_adapted:
            amount, per = (self.adapted_amount, self.adapted_per) if amount else (amount, per)
            limit = self.adapted_amount if limit else limit
        return Gauge(
            key,
            amount or None,
            per if amount else None,
            self.burst if amount else None,
            self.level,
            int(limit) if limit else None,
            self.held,
            max(self.paused_until - now, 0.0),
            is_adapted,
        )
