"""Tells coroutines which of their tasks have changed, whatever their number, from what the bell hears."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from polypool.brokers.postgres.bell import Bell, Ring
from polypool.brokers.postgres.rows import EVERYTHING, mark

MARK = 8
PENDING_KEPT = 200_000
"""Ids remembered as not ended, at most."""


class Ticket:
    """One waiter's interest in some ids, and which of them may have changed since it last looked."""

    def __init__(self) -> None:
        self.changed: set[str] = set()
        self.is_unsure = False
        """Anything may have changed."""
        self._rung = asyncio.Event()

    def tell(self, id: str | None) -> None:
        if id is None:
            self.is_unsure = True
        else:
            self.changed.add(id)
        self._rung.set()

    async def next(self, wait: float) -> bool:
        """Return when something may have changed; False after `wait` seconds. Look at `changed` and `is_unsure`, then
        `clear`."""
        try:
            async with asyncio.timeout(wait):
                await self._rung.wait()
        except TimeoutError:
            return False
        return True

    def clear(self) -> None:
        self.changed, self.is_unsure = set(), False
        self._rung.clear()


class Expected:
    """Ids that are being sent: known not to have ended, once they are accepted as new."""

    def __init__(self, ids: Sequence[str]) -> None:
        self.ids = ids
        self.refused = list(ids)

    def confirm(self, accepted: Sequence[bool]) -> None:
        self.refused = [id for id, is_new in zip(self.ids, accepted, strict=True) if not is_new]


class Watch:
    """The tickets of one engine."""

    def __init__(self, bell: Bell) -> None:
        self._bell = bell
        self._tickets: defaultdict[str, list[tuple[str, Ticket]]] = defaultdict(list)
        self._all: set[Ticket] = set()
        self._pending: dict[str, set[str]] = {}
        bell.on_results(self._heard)

    @contextmanager
    def ticket(self, ids: Sequence[str]) -> Iterator[Ticket]:
        """Every change from now on is told, so read after entering."""
        ticket = Ticket()
        entries = [(mark(id), (id, ticket)) for id in ids]
        for key, entry in entries:
            self._tickets[key].append(entry)
        self._all.add(ticket)
        try:
            with self._bell.attention(Ring.RESULTS):
                yield ticket
        finally:
            self._all.discard(ticket)
            for key, entry in entries:
                self._tickets[key].remove(entry)
                if not self._tickets[key]:
                    del self._tickets[key]

    @contextmanager
    def expecting(self, ids: Sequence[str]) -> Iterator[Expected]:
        """Send these inside: who then waits for one need not read it first. Only while the bell hears."""
        expected = Expected(ids)
        self.remember(ids)  # before it is sent: what is heard of it meanwhile makes it be forgotten again
        try:
            yield expected
        finally:
            for id in expected.refused:
                self._tell(mark(id))  # known before, or nobody knows: whoever waits looks

    def is_pending(self, id: str) -> bool:
        """Whether it is known not to have ended: whoever asks again need not read it again."""
        return id in self._pending.get(mark(id), ())

    def remember(self, ids: Iterable[str]) -> None:
        """These had not ended when they were read, and nothing was heard of them since."""
        if len(self._pending) > PENDING_KEPT:
            self._pending.clear()
        for id in ids:
            self._pending.setdefault(mark(id), set()).add(id)

    def _heard(self, text: str) -> None:
        if text == EVERYTHING:
            self._pending.clear()
            for ticket in self._all:
                ticket.tell(None)
            return
        for start in range(0, len(text), MARK):
            self._tell(text[start : start + MARK])

    def _tell(self, key: str) -> None:
        self._pending.pop(key, None)
        for id, ticket in self._tickets.get(key, ()):
            ticket.tell(id)
