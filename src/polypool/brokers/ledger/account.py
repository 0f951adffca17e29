"""Account: some rows of the ledger, taken out of the store, changed, and put back in the same transaction."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from polypool.core.ledger import (
    Adapt,
    Charge,
    Correction,
    Gauge,
    Grant,
    Pause,
    Rate,
    Release,
    Reservation,
    Slot,
    Tick,
    Unique,
)
from polypool.core.meter import Meter

LIMIT, HOLD, HOLDER, OWN, TICK = "limit", "hold", "holder", "own", "tick"
"""Kinds of rows: a key's meter; a granted reservation; who holds some, with the length of its lease; who has a unique
key; the last tick of a schedule."""
TICKS_REMEMBERED = 90 * 86_400.0
"""Seconds for which a schedule's last tick is known."""

Name = tuple[str, str]


class Row(NamedTuple):
    """A row as it is stored. `body` is JSON; `over_at`: when nobody needs it any more, None: not by itself."""

    kind: str
    key: str
    holder: str | None
    body: str
    over_at: float | None


class Hold(msgspec.Struct, array_like=True):
    """A granted reservation."""

    holder: str
    charges: list[Charge]


_json = msgspec.json.Encoder()
_meter = msgspec.json.Decoder(Meter)
_charges = msgspec.json.Decoder(list[Charge])
_tick = msgspec.json.Decoder(tuple[float, str])
_text = msgspec.json.Decoder(str)


class Account:
    """Put in the rows that a verb needs, call it, and store what it changed."""

    def __init__(self, now: float) -> None:
        self._now = now
        self._meters: dict[str, Meter] = {}
        self._holds: dict[str, Hold] = {}
        self._holders: dict[str, float] = {}
        """The lease of each, in seconds."""
        self._lapsed: set[str] = set()
        self._owners: dict[str, tuple[str, float]] = {}
        self._ticks: dict[str, tuple[float, str]] = {}
        self._changed: set[Name] = set()

    def put_in(self, rows: Iterable[Row]) -> None:
        """Rows of the store, in any order; those missing are taken for empty."""
        for kind, key, holder, body, over_at in rows:
            if kind == LIMIT:
                self._meters[key] = _meter.decode(body)
                self._meters[key].drain(self._now)
            elif kind == HOLD:
                self._holds[key] = Hold(holder or "", _charges.decode(body))
            elif kind == HOLDER:
                self._holders[key] = float(body)
            elif kind == OWN:
                self._owners[key] = (_text.decode(body), over_at or 0.0)
            else:
                self._ticks[key] = _tick.decode(body)

    def put_in_lapsed(self, rows: Sequence[Row]) -> None:
        """Holders whose lease has ended, and what they hold."""
        self._lapsed = {row.key for row in rows if row.kind == HOLDER}
        self.put_in(rows)

    def lacking(self) -> list[Name]:
        """The rows of keys that its reservations charge, as far as they are not in yet."""
        keys = {charge.key for hold in self._holds.values() for charge in hold.charges}
        return [(LIMIT, key) for key in sorted(keys - self._meters.keys())]

    def lapse(self) -> None:
        """Give back what holders had whose lease has ended."""
        for id, hold in list(self._holds.items()):
            if hold.holder in self._lapsed:
                self._end(id, [charge for charge in hold.charges if not isinstance(charge, Rate) or charge.is_estimate])
        for holder in self._lapsed:
            del self._holders[holder]
            self._changed.add((HOLDER, holder))

    def stored(self) -> tuple[list[Row], list[Name]]:
        """What is to be written, and what to be deleted."""
        rows = {name: self._row(*name) for name in sorted(self._changed)}
        kept = [row for row in rows.values() if row is not None]
        return kept, [name for name, row in rows.items() if row is None]

    # The verbs

    def reserve(self, holder: str, lease: float, reservations: Sequence[Reservation]) -> list[Grant]:
        self.renew(holder, lease)
        closed: dict[str, float] = {}
        return [self._reserve(holder, reservation, closed) for reservation in reservations]

    def renew(self, holder: str, lease: float) -> bool:
        was_known = holder in self._holders
        self._holders[holder] = lease
        self._changed.add((HOLDER, holder))
        return was_known

    def correct(self, holder: str, corrections: Sequence[Correction]) -> list[bool]:
        return [self._correct(holder, correction) for correction in corrections]

    def release(self, holder: str, releases: Sequence[Release]) -> list[bool]:
        return [self._release(holder, release) for release in releases]

    def adjust(self, adjustments: Sequence[Pause | Adapt]) -> None:
        for adjustment in adjustments:
            meter, until = self._meter(adjustment.key), self._now + adjustment.seconds
            if isinstance(adjustment, Adapt):
                meter.adapted_amount, meter.adapted_per, meter.adapted_until = adjustment.amount, adjustment.per, until
            else:
                meter.paused_until = max(meter.paused_until, until) if adjustment.seconds else 0.0
            self._changed.add((LIMIT, adjustment.key))

    def own(self, uniques: Sequence[Unique]) -> list[str]:
        for unique in uniques:
            owner, until = self._owners.get(unique.key, ("", 0.0))
            if until <= self._now or owner == unique.owner:
                self._owners[unique.key] = (unique.owner, self._now + unique.seconds)
                self._changed.add((OWN, unique.key))
        return [self._owners[unique.key][0] for unique in uniques]

    def disown(self, uniques: Sequence[Unique]) -> list[bool]:
        freed = []
        for unique in uniques:
            owner, until = self._owners.get(unique.key, ("", 0.0))
            freed.append(until > self._now and owner == unique.owner)
            if freed[-1]:
                del self._owners[unique.key]
                self._changed.add((OWN, unique.key))
        return freed

    def tick(self, ticks: Sequence[Tick]) -> list[bool]:
        fired = []
        for tick in ticks:
            last, owner = self._ticks.get(tick.name, (-math.inf, ""))
            fired.append(tick.at > last or (tick.at == last and tick.owner == owner))
            if tick.at > last:
                self._ticks[tick.name] = (tick.at, tick.owner)
                self._changed.add((TICK, tick.name))
        return fired

    def gauges(self) -> list[Gauge]:
        """The keys that are in, in their order."""
        return [meter.gauge(key, self._now) for key, meter in sorted(self._meters.items())]

    # Their parts

    def _reserve(self, holder: str, reservation: Reservation, closed: dict[str, float]) -> Grant:
        hold = self._holds.get(reservation.id)
        if hold is not None:
            # Whoever held it before lost its lease on what it runs, or it would not be another's now.
            hold.holder = holder
            self._changed.add((HOLD, reservation.id))
            return Grant()
        meters, waits = dict[str, Meter](), dict[str, float]()
        for charge in reservation.charges:
            meter = meters.setdefault(charge.key, msgspec.structs.replace(self._meter(charge.key)))
            meter.declare(charge)
            wait = closed.get(charge.key, 0.0) or meter.wait(charge, self._now)
            if wait > waits.get(charge.key, 0.0):
                waits[charge.key] = wait
            meter.add(charge)
        if waits:
            # Nobody behind it in the line is let through where it has to wait: many small ones would starve it.
            closed.update(waits)
            return _refusal(waits)
        self._meters.update(meters)
        self._changed.update((LIMIT, key) for key in meters)
        self._holds[reservation.id] = Hold(holder, list(reservation.charges))
        self._changed.add((HOLD, reservation.id))
        return Grant()

    def _correct(self, holder: str, correction: Correction) -> bool:
        hold = self._holds.get(correction.id)
        if hold is None or hold.holder != holder:
            return False
        for place, charge in enumerate(hold.charges):
            if isinstance(charge, Rate) and charge.key == correction.key:
                self._take_back(charge, charge.cost - correction.cost)
                hold.charges[place] = msgspec.structs.replace(charge, cost=correction.cost, is_estimate=False)
                self._changed.add((HOLD, correction.id))
                return True
        return False

    def _release(self, holder: str, release: Release) -> bool:
        hold = self._holds.get(release.id)
        if hold is None or hold.holder != holder:
            return False
        self._end(release.id, [charge for charge in hold.charges if isinstance(charge, Slot) or not release.was_used])
        return True

    def _end(self, id: str, given_back: list[Charge]) -> None:
        """Forget a reservation, and give back some of its charges."""
        del self._holds[id]
        self._changed.add((HOLD, id))
        for charge in given_back:
            if isinstance(charge, Rate):
                self._take_back(charge, charge.cost)
            else:
                self._meter(charge.key).held -= 1
                self._changed.add((LIMIT, charge.key))

    def _take_back(self, charge: Rate, cost: float) -> None:
        meter = self._meter(charge.key)
        if meter.amount <= 0.0:
            meter.declare(charge)  # it had run dry, and was forgotten
        meter.take_back(cost)
        self._changed.add((LIMIT, charge.key))

    def _meter(self, key: str) -> Meter:
        if key not in self._meters:
            self._meters[key] = Meter(at=self._now)
        return self._meters[key]

    def _row(self, kind: str, key: str) -> Row | None:
        """A row as it is now; None where there is nothing to keep."""
        if kind == LIMIT:
            meter = self._meters[key]
            over_at = meter.over_at(self._now)
            is_over = over_at is not None and over_at <= self._now
            return None if is_over else Row(kind, key, None, _written(meter), over_at)
        if kind == HOLD:
            hold = self._holds.get(key)
            return Row(kind, key, hold.holder, _written(hold.charges), None) if hold else None
        if kind == HOLDER:
            lease = self._holders.get(key)
            return None if lease is None else Row(kind, key, None, repr(float(lease)), self._now + lease)
        if kind == OWN:
            owner = self._owners.get(key)
            return Row(kind, key, None, _written(owner[0]), owner[1]) if owner else None
        at, _ = self._ticks[key]
        return Row(kind, key, None, _written(self._ticks[key]), max(at, self._now) + TICKS_REMEMBERED)


def _refusal(waits: dict[str, float]) -> Grant:
    """The longest wait of those that end by themselves; if there is none, the slot that is missing."""
    finite = {key: wait for key, wait in waits.items() if math.isfinite(wait)}
    if not finite:
        return Grant(next(iter(waits)))
    longest = max(finite, key=lambda key: finite[key])
    return Grant(longest, finite[longest])


def _written(value: object) -> str:
    return _json.encode(value).decode()
