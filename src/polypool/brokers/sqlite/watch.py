"""Tells coroutines which of their tasks have changed, at the price of one read a bell, whatever their number."""

import asyncio
import sqlite3
from collections.abc import Collection, Sequence

import msgspec

from polypool.brokers.sqlite.bell import Bell
from polypool.brokers.sqlite.database import Database
from polypool.brokers.sqlite.transaction import Ring, query
from polypool.core.error import EngineError

LINGER = 10.0
"""Seconds to go on watching after the last waiter left: whoever waits for many comes back for the rest."""

_ids = msgspec.json.Decoder(list[str])


class Ticket:
    """One waiter's interest in some ids, and which of them changed since it last looked."""

    def __init__(self, ids: Collection[str]) -> None:
        self.ids = ids
        self.changed: set[str] = set()
        self.error: EngineError | None = None
        self._rung = asyncio.Event()

    def mark(self, id: str) -> None:
        self.changed.add(id)
        self._rung.set()

    def fail(self, error: EngineError) -> None:
        self.error = error
        self._rung.set()

    async def next(self, wait: float) -> list[str]:
        """What changed, as soon as something did; empty after `wait` seconds."""
        try:
            async with asyncio.timeout(wait):
                await self._rung.wait()
        except TimeoutError:
            return []
        if self.error is not None:
            raise self.error
        self._rung.clear()
        changed, self.changed = list(self.changed), set()
        return changed


class Watch:
    """The tickets of one engine, and the reading that serves them all."""

    def __init__(self, database: Database, bell: Bell) -> None:
        self._database = database
        self._bell = bell
        self._tickets: dict[str, list[Ticket]] = {}
        self._since = 0
        self._watching: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self.pending: set[str] = set()
        """Ids known not to have ended: whoever asks again for these need not read them again."""

    @property
    def waiting(self) -> int:
        """For how many tasks somebody waits."""
        return len(self._tickets)

    async def enter(self, ids: Sequence[str]) -> Ticket:
        """Every change from now on is marked on the ticket, so read after entering; then `leave`."""
        ticket = Ticket(ids)
        for id in ids:
            self._tickets.setdefault(id, []).append(ticket)
        try:
            async with self._starting:
                if self._watching is None or self._watching.done():
                    self._since, *_ = await self._database.read(lambda c: query(c, "changed", since=1 << 62))
                    self._watching = asyncio.get_running_loop().create_task(self._watch())
        except BaseException:
            self.leave(ticket)
            raise
        return ticket

    def leave(self, ticket: Ticket) -> None:
        for id in ticket.ids:
            here = self._tickets.get(id, [])
            if ticket in here:
                here.remove(ticket)
            if not here:
                self._tickets.pop(id, None)

    async def close(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        watch_until = loop.time() + LINGER
        try:
            while self._tickets or loop.time() < watch_until:
                if self._tickets:
                    watch_until = loop.time() + LINGER
                count = self._bell.count(Ring.RESULTS)
                self._since, ended, streamed = await self._database.read(self._changed)
                self.pending.difference_update(ended)
                for id in (*ended, *streamed):
                    for ticket in self._tickets.get(id, ()):
                        ticket.mark(id)
                await self._bell.after(Ring.RESULTS, count, LINGER / 4)
        except EngineError as error:
            for ticket in {ticket for tickets in self._tickets.values() for ticket in tickets}:
                ticket.fail(error)
        finally:
            self.pending.clear()

    def _changed(self, connection: sqlite3.Connection) -> tuple[int, list[str], list[str]]:
        since, ended, streamed = query(connection, "changed", since=self._since)
        return since, _ids.decode(ended), _ids.decode(streamed)
