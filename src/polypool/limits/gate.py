"""Gate: who among those held back by limits may ask now, and who had better wait outside. Pure.

Waiters stand in a line for each key that holds them up, by priority, then age. A worker keeps the next ones of each
line in its memory, as many as pass in `HORIZON` seconds; those behind go back to the engine until shortly before their
turn. So long lines need no memory, their heads are always at hand, and nobody comes all at once.
"""

import bisect
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, NamedTuple, TypeVar

from polypool.core.ledger import Grant, Rate, Reservation

T = TypeVar("T")

HORIZON = 2.0
"""Seconds ahead of their turn within which waiters are kept in memory. Longer than it takes to come back from the
engine, even a busy one."""
MOST = 1000
"""Waiters kept in memory for one key."""
BATCH = 64
"""Waiters of one key that ask at once, at most; all behind the first who is refused are refused too."""
FEW = 4
"""Of those, after one was refused: as long as all are granted, twice as many ask the next time."""
TOGETHER = 0.02
"""Seconds that a line waits longer so that several pass with one ask, where its burst allows for it."""
ASK_AGAIN = 0.25
"""Seconds between two looks whether another worker has freed a slot."""
USUAL_RUN = 0.1
"""Seconds a slot is taken to be held, before any was seen to come back."""
SOONER = 0.5
"""Of the time that slots were held, what the next ones are expected to: who comes back too early is put off again, who
comes too late leaves a slot free."""
MOST_KNOWN = 10_000
"""Keys of which it is remembered how long their slots are held."""
SHORTEST = 0.001
"""Seconds. The least wait, so that asking does not spin where clocks disagree about a moment."""


class Ticket(Generic[T]):
    """One who waits. `what` is the caller's; `pool`: where it is to run, which must have room for it to ask."""

    __slots__ = ("order", "pool", "reservation", "what")

    def __init__(self, reservation: Reservation, pool: str, order: tuple[float, float, int], what: T) -> None:
        self.reservation = reservation
        self.pool = pool
        self.order = order
        self.what = what


class Later(NamedTuple, Generic[T]):
    """One who is to come back at this time."""

    ticket: Ticket[T]
    until: float


class Line(Generic[T]):
    """Those who wait for one key. `opens_at`: asking before is vain."""

    def __init__(self) -> None:
        self.tickets: list[Ticket[T]] = []
        self.opens_at = -math.inf
        self.waits_for_slot = False
        self.batch = BATCH


class Gate(Generic[T]):
    """Times are the caller's, in seconds."""

    def __init__(self, horizon: float = HORIZON, most: int = MOST) -> None:
        self._horizon = horizon
        self._most = most
        self._lines: dict[str, Line[T]] = {}
        self._tails: dict[str, dict[float, float]] = {}
        """When the last one that was sent away comes to its turn, by key and order of priority."""
        self._runs: dict[str, float] = {}
        """Seconds that slots of a key are held, on average."""
        self._numbers = itertools.count()

    def __len__(self) -> int:
        return sum(len(line.tickets) for line in self._lines.values())

    def add(self, reservation: Reservation, pool: str, priority: int, sent_at: float, what: T) -> None:
        """Let one wait."""
        order = (-priority, sent_at, next(self._numbers))
        self._stand(Ticket(reservation, pool, order, what))

    def remove(self, matches: Callable[[T], bool]) -> list[T]:
        """Let those go who wait no longer."""
        gone: list[T] = []
        for line in self._lines.values():
            gone += [ticket.what for ticket in line.tickets if matches(ticket.what)]
            line.tickets = [ticket for ticket in line.tickets if not matches(ticket.what)]
        return gone

    def asks(self, now: float, room: Callable[[str], int]) -> list[Ticket[T]]:
        """Who is to ask now, in the order of their turns. They are out of the line, until `refused` has them back."""
        asking: list[Ticket[T]] = []
        for key in list(self._lines):
            line = self._lines[key]
            if line.opens_at <= now:
                asking += line.tickets[: line.batch]
                line.batch = min(2 * line.batch, BATCH)
        asking.sort(key=lambda ticket: ticket.order)
        left: dict[str, int] = {}
        chosen: list[Ticket[T]] = []
        for ticket in asking:
            free = left.setdefault(ticket.pool, room(ticket.pool))
            if free > 0:
                left[ticket.pool] = free - 1
                chosen.append(ticket)
        self._take_out(chosen, now)
        return chosen

    def refused(self, ticket: Ticket[T], grant: Grant, now: float) -> None:
        """It has to wait for this key."""
        assert grant.key is not None
        line = self._lines.setdefault(grant.key, Line())
        line.waits_for_slot = grant.wait is None
        line.batch = FEW
        wait = ASK_AGAIN if grant.wait is None else grant.wait + _together(ticket, grant.key)
        line.opens_at = now + max(wait, SHORTEST)
        bisect.insort(line.tickets, ticket, key=_order)

    def freed(self, key: str, held: float) -> None:
        """A slot came back here, after so many seconds."""
        if len(self._runs) >= MOST_KNOWN:
            self._runs.clear()
        before = self._runs.get(key)
        self._runs[key] = held if before is None else before + (held - before) / 8
        line = self._lines.get(key)
        if line is not None and line.waits_for_slot:
            line.opens_at = -math.inf

    def paused(self, key: str, until: float) -> None:
        """Nobody passes here before then."""
        line = self._lines.setdefault(key, Line())
        line.opens_at = max(line.opens_at, until)

    def opens_at(self, room: Callable[[str], int]) -> float | None:
        """When there will be somebody to ask; None while nobody waits for whom there is room."""
        pools: dict[str, bool] = {}

        def has_room(ticket: Ticket[T]) -> bool:
            if ticket.pool not in pools:
                pools[ticket.pool] = room(ticket.pool) > 0
            return pools[ticket.pool]

        return min((line.opens_at for line in self._lines.values() if any(map(has_room, line.tickets))), default=None)

    def surplus(self, now: float) -> list[Later[T]]:
        """Who has to wait for so long that it had better do so in the engine."""
        later: list[Later[T]] = []
        for key, line in list(self._lines.items()):
            if line.opens_at > now and line.tickets:
                later += self._cut(key, line, now)
            if not line.tickets and line.opens_at <= now:
                del self._lines[key]
        self._forget(now)
        return later

    def _cut(self, key: str, line: Line[T], now: float) -> Iterable[Later[T]]:
        turn, kept = line.opens_at, 0
        for ticket in line.tickets:
            if kept >= self._most or turn - now > self._horizon:
                break
            turn += self._seconds(key, ticket)
            kept += 1
        away, line.tickets = line.tickets[kept:], line.tickets[:kept]
        ahead = min(self._horizon, self._most * self._seconds(key, away[0])) / 2 if away else 0.0
        tails = self._tails.setdefault(key, {}) if away else {}
        for ticket in away:
            rank = ticket.order[0]
            turn = max([turn, *(tail for before, tail in tails.items() if before <= rank)])
            turn += self._seconds(key, ticket)
            tails[rank] = turn
            yield Later(ticket, max(turn - ahead, now + SHORTEST))

    def _seconds(self, key: str, ticket: Ticket[T]) -> float:
        """How long the line stands for this one."""
        for charge in ticket.reservation.charges:
            if charge.key == key:
                if isinstance(charge, Rate):
                    return charge.cost * charge.per / charge.amount
                return SOONER * self._runs.get(key, USUAL_RUN) / charge.limit
        return 0.0

    def _stand(self, ticket: Ticket[T]) -> None:
        """In the line of the key that opens last."""
        keys = [charge.key for charge in ticket.reservation.charges]
        key = max(keys, key=lambda key: self._lines[key].opens_at if key in self._lines else -math.inf)
        bisect.insort(self._lines.setdefault(key, Line()).tickets, ticket, key=_order)

    def _take_out(self, chosen: Sequence[Ticket[T]], now: float) -> None:
        taken = set(map(id, chosen))
        for key, line in list(self._lines.items()):
            if line.opens_at <= now:
                line.tickets = [ticket for ticket in line.tickets if id(ticket) not in taken]
                if not line.tickets:
                    del self._lines[key]

    def _forget(self, now: float) -> None:
        """Tails that everybody has passed."""
        for key in [key for key, tails in self._tails.items() if max(tails.values(), default=now) <= now]:
            del self._tails[key]


def _together(ticket: Ticket[T], key: str) -> float:
    """A quarter of the time that the burst lets a line be late without loss: the rest is for what comes in between."""
    for charge in ticket.reservation.charges:
        if isinstance(charge, Rate) and charge.key == key:
            return min(TOGETHER, max(charge.burst - charge.cost, 0.0) * charge.per / charge.amount / 4)
    return 0.0


def _order(ticket: Ticket[T]) -> tuple[float, float, int]:
    return ticket.order
