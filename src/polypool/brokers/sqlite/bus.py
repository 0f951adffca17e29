"""The Bus port over SQLite."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence

import msgspec

from polypool.brokers.sqlite.database import Database
from polypool.brokers.sqlite.statements import SQL
from polypool.brokers.sqlite.transaction import Packed, Ring, Transaction, one_moment, query
from polypool.brokers.sqlite.watch import Watch
from polypool.brokers.stored import record
from polypool.core.codec import encode
from polypool.core.event import Event, Page, cursor

EVENTS_KEPT = 1000
"""Per task; the oldest go first."""
TRIMMED_EACH = 64
"""A stream is cut back each time a run has brought so many more."""

_event = msgspec.msgpack.Decoder(Event)


class SqliteBus:
    """Streams of events."""

    def __init__(self, database: Database, watch: Watch, clock: Callable[[], float]) -> None:
        self._database = database
        self._watch = watch
        self._clock = clock

    async def append(self, events: Sequence[tuple[str, Event]]) -> None:
        if not events:
            return
        # A first event counts too: many short runs may fill a stream as one long one does.
        grown = {
            id for id, event in events if event.number % TRIMMED_EACH == 0 or (event.number == 1 and event.run > 1)
        }

        def append(transaction: Transaction) -> None:
            packed = Packed()
            for id, event in events:
                packed.add(id, event.run, event.number, blob=encode(event))
                if packed.is_full:
                    transaction.run("append", rows=packed.rows, bodies=packed.blob, change=transaction.change)
                    packed = Packed()
            if packed:
                transaction.run("append", rows=packed.rows, bodies=packed.blob, change=transaction.change)
            for id in grown:
                if transaction.run("mark_trimmed", id=id, kept=EVENTS_KEPT):
                    transaction.run("trim", id=id)
            transaction.rings.add(Ring.RESULTS)

        await self._database.write(append)

    async def follow(self, id: str, after: str | None, wait: float) -> Page:
        position = None if after is None else cursor(after)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        ticket = await self._watch.enter([id])
        try:
            while True:
                page = await self._database.read(lambda connection: _page(connection, id, position, self._clock()))
                left = deadline - loop.time()
                if page is not None or left <= 0:
                    return page or Page()
                await ticket.next(min(left, 1.0))
        finally:
            self._watch.leave(ticket)


def _page(connection: sqlite3.Connection, id: str, after: tuple[int, int] | None, now: float) -> Page | None:
    """What follows a cursor; None while there is nothing."""
    with one_moment(connection):
        row = query(connection, "stream", id=id, now=now)
        if row is None:
            return Page(is_gone=True)
        seq, state, task, is_dead, ending, *trimmed = row
        if after is not None and after < tuple(trimmed):
            return Page(is_gone=True)
        run, number = after or (0, 0)
        rows = connection.execute(SQL["events"], {"seq": seq, "run": run, "number": number}).fetchall()
    ended = record(id, state, task, bool(is_dead), ending) if ending else None
    events = tuple(_event.decode(body) for (body,) in rows)
    return Page(events, ended) if events or ended else None
