"""Which coroutines wait for news of which tasks."""

import asyncio
from collections.abc import Collection

from polypool.brokers.redis.bell import Bell


class Ticket:
    """One waiter's interest in some ids, and which of them there was news of since it last looked."""

    def __init__(self, ids: Collection[str]) -> None:
        self.ids = ids
        self.changed: set[str] = set()
        self._rung = asyncio.Event()

    def mark(self, id: str) -> None:
        self.changed.add(id)
        self._rung.set()

    async def next(self, wait: float) -> list[str]:
        """What there was news of, as soon as there is any; empty after `wait` seconds."""
        try:
            async with asyncio.timeout(wait):
                await self._rung.wait()
        except TimeoutError:
            return []
        self._rung.clear()
        changed, self.changed = list(self.changed), set()
        return changed


class Watch:
    """The tickets of one engine."""

    def __init__(self, bell: Bell) -> None:
        self._tickets: dict[str, list[Ticket]] = {}
        self.pending: set[str] = set()
        """Ids that had not ended when the server was last asked; it will bring news of them, so none need ask again."""
        bell.on_news = self._told

    def enter(self, ids: Collection[str]) -> Ticket:
        """All news from now on is marked on the ticket, so read after entering; then `leave`."""
        ticket = Ticket(ids)
        for id in ids:
            self._tickets.setdefault(id, []).append(ticket)
        return ticket

    def leave(self, ticket: Ticket) -> None:
        for id in ticket.ids:
            here = self._tickets.get(id, [])
            if ticket in here:
                here.remove(ticket)
            if not here:
                self._tickets.pop(id, None)

    def _told(self, ids: list[str] | None) -> None:
        if ids is None:
            self.pending.clear()
        for id in list(self._tickets) if ids is None else ids:
            self.pending.discard(id)
            for ticket in self._tickets.get(id, ()):
                ticket.mark(id)
