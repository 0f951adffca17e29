"""The Inspector port over SQLite."""

from collections.abc import Callable
from typing import Any

import msgspec

from polypool.brokers.sqlite.database import Database
from polypool.brokers.sqlite.joins import forget_marks, signal
from polypool.brokers.sqlite.rows import forget
from polypool.brokers.sqlite.statements import SQL
from polypool.brokers.sqlite.transaction import Ring, Transaction, to_json
from polypool.brokers.stored import COPIES_REMEMBERED, view
from polypool.core.codec import decode_message
from polypool.core.decide import signals
from polypool.core.join import Signal
from polypool.core.lifecycle import State
from polypool.core.measure import Tally
from polypool.core.report import Action, Heartbeat, LaneCount, Search, TaskView, WorkerView

ACTED_AT_ONCE = 1000
"""Messages a transaction, so that workers get their turn."""

_heartbeat = msgspec.msgpack.Decoder(Heartbeat)
_seqs = msgspec.json.Decoder(list[int])
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
        sql, arguments = _sought("find", search, self._clock())
        return [view(row) for row in await self._rows(sql, {**arguments, "limit": search.limit})]

    async def act(self, action: Action, search: Search) -> int:
        waits_or_dead = (
            "reason IS NOT NULL"
            if action == "requeue" or search.dead
            else "state IN ('queued', 'scheduled', 'waiting', 'parked')"
        )
        now = self._clock()
        # What is sought is sought now: what waits for something purged comes into line by that, and stays.
        sql, arguments = _sought("sought", search, now, waits_or_dead)
        [(found,)] = await self._rows(sql, arguments)
        places = _seqs.decode(found)
        sql, arguments = _sought("find", search, now, waits_or_dead, "seq IN (SELECT value FROM json_each(:seqs))")
        arguments["limit"] = ACTED_AT_ONCE
        acted = 0
        for start in range(0, len(places), ACTED_AT_ONCE):
            arguments["seqs"] = to_json(places[start : start + ACTED_AT_ONCE])
            acted += await self._database.write(lambda transaction: _act(transaction, action, sql, arguments))
        return acted

    async def _rows(self, sql: str, arguments: dict[str, Any]) -> list[Any]:
        return await self._database.read(lambda connection: connection.execute(sql, arguments).fetchall())


def _act(transaction: Transaction, action: Action, sql: str, arguments: dict[str, Any]) -> int:
    """Do it to those that are still as they were sought."""
    rows = transaction.connection.execute(sql, arguments).fetchall()
    seqs, now = to_json([row[0] for row in rows]), arguments["now"]
    if action == "requeue":
        transaction.rings.add(Ring.WORK)
        return transaction.run("requeue", seqs=seqs, now=now)
    transaction.rings.add(Ring.RESULTS)
    transaction.run("remember_gone", seqs=seqs, until=now + COPIES_REMEMBERED)
    deleted = forget(transaction, seqs)
    told: list[Signal] = []
    for seq, id, _, state, *_, reason, _, body in rows:
        if state == State.SCHEDULED:
            forget_marks(transaction, [seq])
        if reason is None:
            told += signals(decode_message(body, id)[0], State.CANCELLED, None)
    signal(transaction, told, now)
    return deleted


def _sought(statement: str, search: Search, now: float, *more: str) -> tuple[str, dict[str, Any]]:
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
        also = {State.QUEUED: " OR state = 'parked'", State.SCHEDULED: " OR state = 'waiting'"}
        conditions.append(f"({sought_state}{also.get(search.state, '')})")
    return SQL[statement].replace("/* conditions */ true", " AND ".join(conditions)), arguments
