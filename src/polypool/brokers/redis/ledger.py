"""The Ledger port over Redis."""

import struct
from collections.abc import Sequence

import msgspec

from polypool.brokers.ledger.account import TICKS_REMEMBERED
from polypool.brokers.redis.gather import all_but
from polypool.brokers.redis.link import Link
from polypool.brokers.redis.wire import Word
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
    Tick,
    Unique,
)
from polypool.core.meter import Meter

METER = struct.Struct(">11d")
"""The fields of Meter, in their order, as lua/meter.lua packs them."""


class RedisLedger:
    """The shared counters, each verb one Lua call over its batch."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def reserve(self, holder: str, lease: float, reservations: Sequence[Reservation]) -> list[Grant]:
        if not reservations:
            return []
        words: list[Word] = [holder, lease]
        for reservation in reservations:
            words += (reservation.id, len(reservation.charges))
            for charge in reservation.charges:
                words += _charge(charge)
        found = await self._link.run("reserve", words)
        return [_grant(key, wait) for key, wait in zip(found[::2], found[1::2], strict=True)]

    async def renew(self, holder: str, lease: float) -> bool:
        return bool(await self._link.run("renew", [holder, lease]))

    async def correct(self, holder: str, corrections: Sequence[Correction]) -> list[bool]:
        words: list[Word] = [holder]
        for correction in corrections:
            words += (correction.id, correction.key, repr(float(correction.cost)))
        return await self._all_but("correct", words, len(corrections))

    async def release(self, holder: str, releases: Sequence[Release]) -> list[bool]:
        words: list[Word] = [holder]
        for release in releases:
            words += (release.id, int(release.was_used))
        return await self._all_but("release", words, len(releases))

    async def adjust(self, adjustments: Sequence[Pause | Adapt]) -> None:
        words: list[Word] = []
        for adjustment in adjustments:
            words += (adjustment.key, repr(float(adjustment.seconds)))
            if isinstance(adjustment, Adapt):
                words += (repr(float(adjustment.amount)), repr(float(adjustment.per)))
            else:
                words += ("", "")
        if words:
            await self._link.run("adjust", words)

    async def own(self, uniques: Sequence[Unique]) -> list[str]:
        words: list[Word] = []
        for unique in uniques:
            words += (unique.key, unique.owner, repr(float(unique.seconds)))
        return [owner.decode() for owner in await self._link.run("own", words)] if words else []

    async def disown(self, uniques: Sequence[Unique]) -> list[bool]:
        words: list[Word] = []
        for unique in uniques:
            words += (unique.key, unique.owner)
        return await self._all_but("disown", words, len(uniques))

    async def tick(self, ticks: Sequence[Tick]) -> list[bool]:
        words: list[Word] = [TICKS_REMEMBERED]
        for tick in ticks:
            words += (tick.name, repr(float(tick.at)), tick.owner)
        return await self._all_but("tick", words, len(ticks))

    async def look(self, prefix: str = "", limit: int = 1000) -> list[Gauge]:
        meters: dict[str, Meter] = {}
        cursor = b""
        while cursor != b"0":
            now, cursor, *found = await self._link.run("limits", [prefix, cursor or b"0"])
            for key, packed in zip(found[::2], found[1::2], strict=True):
                meters[key.decode()] = _meter(packed)
        gauges = []
        for key in sorted(meters):
            meter = meters[key]
            meter.drain(float(now))
            over_at = meter.over_at(float(now))
            if over_at is None or over_at > float(now):
                gauges.append(meter.gauge(key, float(now)))
        return gauges[:limit]

    async def _all_but(self, verb: str, words: list[Word], count: int) -> list[bool]:
        """Run a verb that names the places of what it refused."""
        return all_but(await self._link.run(verb, words), count) if count else []


def _charge(charge: Charge) -> list[Word]:
    """As lua/meter.lua has it. Numbers whole, to the last bit."""
    if isinstance(charge, Rate):
        numbers = [repr(float(number)) for number in (charge.amount, charge.per, charge.cost, charge.burst)]
        return ["r", charge.key, *numbers, int(charge.is_estimate)]
    return ["s", charge.key, charge.limit, 1, 1, 1, 0]


def _grant(key: bytes, wait: bytes) -> Grant:
    return Grant(key.decode(), float(wait) if wait else None) if key else Grant()


def _meter(packed: bytes) -> Meter:
    *numbers, held, limit = METER.unpack(packed)
    return msgspec.convert([*numbers, int(held), int(limit)], Meter)
