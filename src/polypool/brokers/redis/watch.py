"""Which coroutines wait for news of which tasks."""

import asyncio
from collections.abc import Collection, Mapping

from polypool.brokers.redis.bell import Bell


class Ticket:
    """One waiter's interest in some ids, and which of them there was news of since it last looked."""

    def __init__(self, ids: Collection[str]) -> None:
        self.ids = ids
        self.changed: dict[str, bytes] = {}
        """With what was told of them: a record of its end, or nothing."""
        self._rung = asyncio.Event()

    def mark(self, id: str, stored: bytes) -> None:
        self.changed[id] = stored
        self._rung.set()

    async def next(self, wait: float) -> dict[str, bytes]:
        """What there was news of, as soon as there is any; empty after `wait` seconds."""
        try:
            async with asyncio.timeout(wait):
                await self._rung.wait()
        except TimeoutError:
            return {}
        self._rung.clear()
        changed, self.changed = self.changed, {}
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

    def _told(self, news: Mapping[str, bytes] | None) -> None:
        if news is None:
            self.pending.clear()
            news = dict.fromkeys(self._tickets, b"")
        for id, stored in news.items():
            self.pending.discard(id)
            for ticket in self._tickets.get(id, ()):
                ticket.mark(id, stored)
