"""The Ledger port over a shelf of rows: which rows a verb needs, and that it is one change of them."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from polypool.brokers.ledger.account import HOLD, HOLDER, LIMIT, OWN, TICK, Account, Name
from polypool.core.ledger import (
    Adapt,
    Correction,
    Gauge,
    Grant,
    Pause,
    Release,
    Reservation,
    Tick,
    Unique,
)

T = TypeVar("T")

SWEPT_AT_ONCE = 100
"""Rows that are over are deleted so many at each change: more than one change makes, so they do not pile up."""


class Shelf(Protocol):
    """Where an engine keeps the rows."""

    async def change(self, names: Sequence[Name], act: Callable[[Account], T]) -> T:
        """In one transaction: delete what is over, take out these rows and those of holders whose lease has ended, and
        those that their reservations charge; let these lapse, act, store what changed. `act` may be called again."""

    async def gauged(self, prefix: str, limit: int) -> Account:
        """The keys that begin so, in their order."""


class KeptLedger:
    """The shared counters, as rows."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def reserve(self, holder: str, lease: float, reservations: Sequence[Reservation]) -> list[Grant]:
        if not reservations:
            return []
        ids = [(HOLD, reservation.id) for reservation in reservations]
        keys = [(LIMIT, charge.key) for reservation in reservations for charge in reservation.charges]
        names = [(HOLDER, holder), *ids, *keys]
        return await self._shelf.change(names, lambda account: account.reserve(holder, lease, reservations))

    async def renew(self, holder: str, lease: float) -> bool:
        return await self._shelf.change([(HOLDER, holder)], lambda account: account.renew(holder, lease))

    async def correct(self, holder: str, corrections: Sequence[Correction]) -> list[bool]:
        if not corrections:
            return []
        names = [(HOLD, correction.id) for correction in corrections]
        return await self._shelf.change(names, lambda account: account.correct(holder, corrections))

    async def release(self, holder: str, releases: Sequence[Release]) -> list[bool]:
        if not releases:
            return []
        names = [(HOLD, release.id) for release in releases]
        return await self._shelf.change(names, lambda account: account.release(holder, releases))

    async def adjust(self, adjustments: Sequence[Pause | Adapt]) -> None:
        if adjustments:
            names = [(LIMIT, adjustment.key) for adjustment in adjustments]
            await self._shelf.change(names, lambda account: account.adjust(adjustments))

    async def own(self, uniques: Sequence[Unique]) -> list[str]:
        if not uniques:
            return []
        return await self._shelf.change(_owned(uniques), lambda account: account.own(uniques))

    async def disown(self, uniques: Sequence[Unique]) -> list[bool]:
        if not uniques:
            return []
        return await self._shelf.change(_owned(uniques), lambda account: account.disown(uniques))

    async def tick(self, ticks: Sequence[Tick]) -> list[bool]:
        if not ticks:
            return []
        return await self._shelf.change([(TICK, tick.name) for tick in ticks], lambda account: account.tick(ticks))

    async def look(self, prefix: str = "", limit: int = 1000) -> list[Gauge]:
        return (await self._shelf.gauged(prefix, limit)).gauges()


def _owned(uniques: Sequence[Unique]) -> list[Name]:
    return [(OWN, unique.key) for unique in uniques]
