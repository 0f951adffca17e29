"""The rows of the ledger in dictionaries, one for each kind."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TypeVar

from polypool.brokers.ledger.account import HOLD, HOLDER, LIMIT, OWN, TICK, Account, Name, Row

T = TypeVar("T")

SWEPT_FROM = 100
"""Rows of a kind; then each time when there are twice as many as the last sweep left."""


class MemoryShelf:
    """Where the memory engine keeps them."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._rows: defaultdict[str, dict[str, Row]] = defaultdict(dict)
        self._swept_at: defaultdict[str, int] = defaultdict(lambda: SWEPT_FROM)

    async def change(self, names: Sequence[Name], act: Callable[[Account], T]) -> T:
        now = self._clock()
        account = Account(now)
        account.put_in_lapsed(self._lapsed(now))
        account.put_in(self._found(names))
        account.put_in(self._found(account.lacking()))
        account.lapse()
        answer = act(account)
        kept, deleted = account.stored()
        for row in kept:
            self._rows[row.kind][row.key] = row
        for kind, key in deleted:
            self._rows[kind].pop(key, None)
        self._sweep(now)
        return answer

    async def gauged(self, prefix: str, limit: int) -> Account:
        now = self._clock()
        account, limits = Account(now), self._rows[LIMIT]
        keys = sorted(key for key, row in limits.items() if key.startswith(prefix) and not _is_over(row, now))
        account.put_in(limits[key] for key in keys[:limit])
        return account

    def _found(self, names: Sequence[Name]) -> list[Row]:
        return [self._rows[kind][key] for kind, key in dict.fromkeys(names) if key in self._rows[kind]]

    def _lapsed(self, now: float) -> list[Row]:
        """Holders whose lease has ended, and what they hold."""
        holders = [row for row in self._rows[HOLDER].values() if _is_over(row, now)]
        names = {row.key for row in holders}
        return holders + [row for row in self._rows[HOLD].values() if row.holder in names] if names else []

    def _sweep(self, now: float) -> None:
        for kind in (LIMIT, OWN, TICK):
            rows = self._rows[kind]
            if len(rows) >= self._swept_at[kind]:
                self._rows[kind] = {key: row for key, row in rows.items() if not _is_over(row, now)}
                self._swept_at[kind] = max(2 * len(self._rows[kind]), SWEPT_FROM)


def _is_over(row: Row, now: float) -> bool:
    return row.over_at is not None and row.over_at <= now
