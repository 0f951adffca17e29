"""The Inspector port over PostgreSQL."""

from typing import Any

import msgspec

from polypool.brokers.postgres.cancel import meant
from polypool.brokers.postgres.rows import EVERYTHING
from polypool.brokers.postgres.session import Connection, Session
from polypool.brokers.postgres.signals import signal
from polypool.brokers.stored import COPIES_REMEMBERED, view
from polypool.core.codec import decode_message
from polypool.core.measure import Tally
from polypool.core.report import Action, Heartbeat, LaneCount, Search, TaskView, WorkerView

ACTED_AT_ONCE = 1000
"""Messages a statement, so that workers get their turn."""

_STATE = (
    "CASE live.state WHEN 'parked' THEN 'queued' WHEN 'waiting' THEN 'scheduled' "
    "ELSE coalesce(live.state, ending.state) END"
)

_heartbeat = msgspec.msgpack.Decoder(Heartbeat)
_tally = msgspec.msgpack.Decoder(Tally)


class PostgresInspector:
    """Looks and acts for people."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def lanes(self) -> list[LaneCount]:
        return [LaneCount(*row) for row in await self._rows("lanes")]

    async def workers(self) -> list[WorkerView]:
        rows = await self._rows("workers", self._session.clock())
        return [WorkerView(_heartbeat.decode(body), *rest) for body, *rest in rows]

    async def tallies(self) -> list[Tally]:
        return [_tally.decode(body) for (body,) in await self._rows("tallies", None, None)]

    async def find(self, search: Search) -> list[TaskView]:
        conditions, arguments = _sought(search)
        sql = self._session.statements["find"].replace("/* conditions */ true", conditions)
        now = self._session.clock()
        rows = await self._session.run(lambda connection: connection.fetch(sql, now, search.limit, *arguments))
        return [view(tuple(row)) for row in rows]

    async def act(self, action: Action, search: Search) -> int:
        waits_or_dead = (
            "ending.reason IS NOT NULL"
            if action == "requeue" or search.dead
            else "live.state IN ('queued', 'scheduled', 'parked', 'waiting')"
        )
        conditions, arguments = _sought(search, waits_or_dead)
        sql = self._session.statements["find"].replace("/* conditions */ true", conditions)
        now = self._session.clock()

        async def act(connection: Connection) -> int:
            async with connection.transaction():
                # What is being taken at this moment is left to its taker.
                locked = "ending" if action == "requeue" or search.dead else "live"
                locking = f"{_joined(sql, locked)} FOR UPDATE OF {locked} SKIP LOCKED"
                rows = await connection.fetch(locking, now, ACTED_AT_ONCE, *arguments)
                seqs = [row[0] for row in rows]
                if not seqs:
                    return 0
                if action == "requeue":
                    return len(await connection.rows("requeue", seqs, now))
                await connection.rows("remember_gone", seqs, now + COPIES_REMEMBERED)
                said = [] if search.dead else meant(decode_message(row[-1], row[1])[0] for row in rows if row[-1])
                count = int((await connection.rows("forget", seqs, [EVERYTHING]))[0][0])
                await signal(connection, said, now)
                return count

        acted = 0
        while more := await self._session.run(act):
            acted += more
        return acted

    async def _rows(self, name: str, *arguments: Any) -> list[Any]:
        return await self._session.run(lambda connection: connection.rows(name, *arguments))


def _joined(sql: str, table: str) -> str:
    """The same search with that table joined fully: rows of an outer join cannot be locked."""
    lines = [
        line.replace("LEFT JOIN", "JOIN") if line.startswith("LEFT JOIN") and f".{table} " in line else line
        for line in sql.splitlines()
    ]
    return "\n".join(lines)


def _sought(search: Search, *more: str) -> tuple[str, list[Any]]:
    """The conditions that find what is sought, and their arguments from $3 on."""
    conditions, arguments = list(more), list[Any]()
    if search.dead:
        conditions.append("ending.reason IS NOT NULL")

    def condition(text: str, value: Any) -> None:
        arguments.append(value)
        conditions.append(text.replace("$n", f"${len(arguments) + 2}"))

    if search.ids is not None:
        condition("task.id = ANY ($n::text[])", list(search.ids))
    if search.queue is not None:
        condition("queue = $n", search.queue)
    if search.task is not None:
        condition("task.task = $n", search.task)
    if search.state is not None:
        condition(f"{_STATE} = $n", search.state.value)
    return " AND ".join(conditions) or "true", arguments
