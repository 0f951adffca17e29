"""The Results port over PostgreSQL."""

import asyncio
from collections.abc import Sequence

from polypool.brokers.postgres.pile import Pile
from polypool.brokers.postgres.session import Connection, Session
from polypool.brokers.postgres.watch import Ticket, Watch
from polypool.brokers.stored import record
from polypool.core.event import Record

READ_AT_ONCE, ASKED_AT_ONCE = 1000, 10_000
LOOK_ANYWAY = 10.0
"""Seconds between looks at what was waited for in vain: the last defence against a lost notification."""


class PostgresResults:
    """What became of messages."""

    def __init__(self, session: Session, watch: Watch) -> None:
        self._session = session
        self._watch = watch
        self._reads: Pile[str, Record | None] = Pile(session, self._read, len)

    async def read(self, ids: Sequence[str]) -> list[Record | None]:
        found: list[Record | None] = []
        for start in range(0, len(ids), READ_AT_ONCE):
            found += await self._reads.add(list(ids[start : start + READ_AT_ONCE]))
        return found

    async def wait(self, ids: Sequence[str], wait: float) -> list[Record]:
        if not ids:
            return []
        deadline = asyncio.get_running_loop().time() + wait
        with self._watch.ticket(ids) as ticket:
            return await self._wait(ids, ticket, deadline)

    async def _wait(self, ids: Sequence[str], ticket: Ticket, deadline: float) -> list[Record]:
        loop = asyncio.get_running_loop()
        is_last = deadline <= loop.time()
        unsure = [id for id in ids if is_last or not self._watch.is_pending(id)]
        unknown: set[str] = set()
        while True:
            records = [known for known in await self.read(unsure) if known is not None]
            ended = [known for known in records if known.state.is_final]
            running = [known.id for known in records if not known.state.is_final]
            if not ticket.is_unsure:
                self._watch.remember(id for id in running if id not in ticket.changed)
            unknown = (unknown | set(unsure)).difference(known.id for known in records)
            left = deadline - loop.time()
            if ended or left <= 0 or len(unknown) >= len(set(ids)):
                return ended
            heard = await ticket.next(min(left, LOOK_ANYWAY))
            told, is_sure = list(ticket.changed), heard and not ticket.is_unsure
            ticket.clear()  # before looking: what is told while we look counts for the next look
            unsure = told if is_sure else await self._ended(ids, ticket)

    async def _ended(self, ids: Sequence[str], ticket: Ticket) -> list[str]:
        """Which of these there is something new to know of; of the rest it is remembered that they go on."""
        found: list[str] = []
        for start in range(0, len(ids), ASKED_AT_ONCE):
            asked = list(ids[start : start + ASKED_AT_ONCE])
            rows = await self._session.run(lambda connection, asked=asked: connection.rows("ended", asked))  # type: ignore[misc]
            found += [id for (id,) in rows]
        if not ticket.is_unsure:
            self._watch.remember(set(ids).difference(found, ticket.changed))
        return found

    async def _read(self, connection: Connection, ids: list[str]) -> list[Record | None]:
        rows = await connection.rows("read", list(dict.fromkeys(ids)), self._session.clock())
        found = {row[0]: record(*row) for row in rows}
        return [found.get(id) for id in ids]
