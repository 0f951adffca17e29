"""The Inspector port over SQLite."""

from collections.abc import Callable
from typing import Any

import msgspec

from polypool.brokers.sqlite.database import Database
from polypool.brokers.sqlite.rows import forget
from polypool.brokers.sqlite.statements import SQL
from polypool.brokers.sqlite.transaction import Ring, Transaction, to_json
from polypool.brokers.stored import COPIES_REMEMBERED, view
from polypool.core.lifecycle import State
from polypool.core.measure import Tally
from polypool.core.report import Action, Heartbeat, LaneCount, Search, TaskView, WorkerView

ACTED_AT_ONCE = 1000
"""Messages a transaction, so that workers get their turn."""

_heartbeat = msgspec.msgpack.Decoder(Heartbeat)
_tally = msgspec.msgpack.Decoder(Tally)


class SqliteInspector:
    """Looks and acts for people."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    async def lanes(self) -> list[LaneCount]:
        return [LaneCount(*row) for row in await self._rows(SQL["lanes"], {})]

    async def workers(self) -> list[WorkerView]:
        rows = await self._rows(SQL["workers"], {"now": self._clock()})
        return [
            WorkerView(_heartbeat.decode(body), seen_at, bool(is_alive), holds)
            for body, seen_at, is_alive, holds in rows
        ]

    async def tallies(self) -> list[Tally]:
        return [_tally.decode(body) for (body,) in await self._rows(SQL["tallies"], {"task": None, "pool": None})]

    async def find(self, search: Search) -> list[TaskView]:
        sql, arguments = _sought(search, self._clock())
        return [view(row) for row in await self._rows(sql, {**arguments, "limit": search.limit})]

    async def act(self, action: Action, search: Search) -> int:
        waits_or_dead = (
            "reason IS NOT NULL" if action == "requeue" or search.dead else "state IN ('queued', 'scheduled', 'parked')"
        )
        sql, arguments = _sought(search, self._clock(), waits_or_dead)
        acted = 0
        now = self._clock()

        def act(transaction: Transaction) -> int:
            rows = transaction.connection.execute(sql, {**arguments, "limit": ACTED_AT_ONCE}).fetchall()
            seqs = to_json([row[0] for row in rows])
            if action == "requeue":
                transaction.rings.add(Ring.WORK)
                return transaction.run("requeue", seqs=seqs, now=now)
            transaction.rings.add(Ring.RESULTS)
            transaction.run("remember_gone", seqs=seqs, until=now + COPIES_REMEMBERED)
            return forget(transaction, seqs)

        while more := await self._database.write(act):
            acted += more
        return acted

    async def _rows(self, sql: str, arguments: dict[str, Any]) -> list[Any]:
        return await self._database.read(lambda connection: connection.execute(sql, arguments).fetchall())


def _sought(search: Search, now: float, *more: str) -> tuple[str, dict[str, Any]]:
    """The statement that finds what is sought, and its arguments."""
    conditions = ["(keep_until IS NULL OR keep_until > :now)", *more]
    arguments: dict[str, Any] = {"now": now}
    if search.dead:
        conditions.append("reason IS NOT NULL")
    if search.ids is not None:
        conditions.append("task.id IN (SELECT value FROM json_each(:ids))")
        arguments["ids"] = to_json(search.ids)
    for column, sought in (("queue", search.queue), ("task.task", search.task)):
        if sought is not None:
            name = column.rpartition(".")[2]
            conditions.append(f"{column} = :{name}")
            arguments[name] = sought
    if search.state is not None:
        # Written out: only then does SQLite know which of the partial indexes holds these.
        sought_state = f"state = '{State(search.state).value}'"
        conditions.append(f"({sought_state} OR state = 'parked')" if search.state is State.QUEUED else sought_state)
    return SQL["find"].replace("/* conditions */ true", " AND ".join(conditions)), arguments
