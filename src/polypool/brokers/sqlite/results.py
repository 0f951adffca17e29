"""The Results port over SQLite."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence

import msgspec

from polypool.brokers.sqlite.database import Database
from polypool.brokers.sqlite.rows import INLINE
from polypool.brokers.sqlite.transaction import BATCH_ROWS, one_moment, query, to_json
from polypool.brokers.sqlite.watch import Ticket, Watch
from polypool.brokers.stored import record
from polypool.core.event import Record

LOOK_ANYWAY, LOOKED_AT_ANYWAY = 1.0, 1000
"""Messages may also vanish (purged, or not to be kept): so often, so many of those waited for are looked at."""
LOOKS_A_SECOND = 500
"""Of all waiters together; where there are more of them (tasks that wait for tasks), each looks less often."""

_rows = msgspec.json.Decoder(list[tuple[str, int, str, str, int, str | None]])


class SqliteResults:
    """What became of messages."""

    def __init__(self, database: Database, watch: Watch, clock: Callable[[], float]) -> None:
        self._database = database
        self._watch = watch
        self._clock = clock

    async def read(self, ids: Sequence[str]) -> list[Record | None]:
        found: dict[str, Record] = {}
        now = self._clock()
        for start in range(0, len(ids), BATCH_ROWS):
            asked = to_json(ids[start : start + BATCH_ROWS])
            for known in await self._database.read(lambda c, asked=asked: _read(c, asked, now)):  # type: ignore[misc]
                found[known.id] = known
        return [found.get(id) for id in ids]

    async def wait(self, ids: Sequence[str], wait: float) -> list[Record]:
        if not ids:
            return []
        ticket = await self._watch.enter(ids)
        try:
            return await self._wait(ids, ticket, asyncio.get_running_loop().time() + wait)
        finally:
            self._watch.leave(ticket)

    async def _wait(self, ids: Sequence[str], ticket: Ticket, deadline: float) -> list[Record]:
        loop, pending = asyncio.get_running_loop(), self._watch.pending
        unsure = [id for id in ids if id not in pending]
        while True:
            records = [known for known in await self.read(unsure) if known is not None]
            ended = [known for known in records if known.state.is_final]
            pending.difference_update(unsure)
            pending.update(known.id for known in records if not known.state.is_final and known.id not in ticket.changed)
            left = deadline - loop.time()
            if ended or left <= 0 or not (ticket.changed or any(id in pending for id in ids)):
                return ended
            again = max(LOOK_ANYWAY, self._watch.waiting / LOOKS_A_SECOND)
            unsure = await ticket.next(min(left, again)) or list(ids[:LOOKED_AT_ANYWAY])


def _read(connection: sqlite3.Connection, ids: str, now: float) -> list[Record]:
    records = []
    with one_moment(connection):
        [rows] = query(connection, "read", ids=ids, now=now, inline=INLINE)
        for id, seq, state, task, is_dead, ending in _rows.decode(rows):
            kept = query(connection, "ending", seq=seq)[0] if ending is None else bytes.fromhex(ending)
            records.append(record(id, state, task, bool(is_dead), kept))
    return records
