"""Sending inside a transaction of the sender's own, on its own connection to the file with polypool's tables."""

import os
import sqlite3
import time
from collections.abc import Generator, Sequence
from typing import Any

import msgspec

from polypool.brokers.sqlite.bell import announce
from polypool.brokers.sqlite.fault import is_busy, mapped
from polypool.brokers.sqlite.file import connect, identity
from polypool.brokers.sqlite.options import Options
from polypool.brokers.sqlite.rows import packed, some_wait
from polypool.brokers.sqlite.shared import prefixed
from polypool.brokers.sqlite.statements import SQL
from polypool.brokers.sqlite.transaction import to_json
from polypool.brokers.stored import encoded
from polypool.core.error import ConfigurationError, EngineUnreachable
from polypool.core.inside import Statement
from polypool.core.message import Lane, Message
from polypool.core.port import Traits

Asking = Generator[Statement, Sequence[Any], list[bool]]

PATIENCE = 0.5
"""Seconds to wait for the file's lock when its tables are looked for: the sender itself may hold it."""

_from_json = msgspec.json.Decoder()


class SqliteInside:
    """The port `Inside`."""

    def __init__(self, path: str, options: Options, traits: Traits) -> None:
        self._path = path
        self._options = msgspec.structs.replace(options, busy_timeout=PATIENCE)
        self._traits = traits
        self._known: tuple[int, int] | None = None
        self._is_shared = False

    def put(self, messages: Sequence[Message]) -> Asking:
        given = list(messages)
        bodies = encoded(given, self._traits)
        if not given:
            return []
        self._look()
        self._refuse_elsewhere((yield Statement.of("sqlite", "PRAGMA database_list")))
        # The first of these takes the lock, and opens the transaction where the driver does that at an INSERT.
        numbers: dict[Lane, int] = {}
        try:
            for lane in dict.fromkeys(message.lane for message in given):
                [[numbers[lane]]] = yield self._statement("lane", queue=lane.queue, pool=lane.pool)
        except Exception as error:
            _advise(error)
            raise
        now = time.time()
        new = yield from self._unknown([message.id for message in given], now)
        chosen = [place for place, is_new in enumerate(new) if is_new]
        messages = [given[place] for place in chosen]
        for batch in packed(messages, [bodies[place] for place in chosen], numbers, now):
            if some_wait(messages):
                yield self._statement("put_steps", rows=batch.rows, bodies=batch.blob, guard=0.0)
            else:
                yield self._statement("put", rows=batch.rows, bodies=batch.blob)
        announce(self._path)
        return new

    def _unknown(self, ids: list[str], now: float) -> Asking:
        """Which of these are new; of two that are the same the first is."""
        [[over]] = yield self._statement("over_among", ids=to_json(ids), now=now)
        if over != "[]":
            for name in ("forget_events", "forget_trimmed", "delete"):
                yield self._statement(name, seqs=over)
        [[found]] = yield self._statement("known", ids=to_json(ids))
        known = set(_from_json.decode(found))
        new = []
        for id in ids:
            new.append(id not in known)
            known.add(id)
        return new

    def _look(self) -> None:
        """See how the tables in the file are called, on a connection of our own; make them if there are none."""
        found = identity(self._path)
        if found is not None and found == self._known:
            return
        try:
            with_tables = connect(self._path, self._options)
        except Exception as error:
            if isinstance(error, sqlite3.OperationalError) and is_busy(error):
                raise EngineUnreachable(
                    f"{self._path}: polypool's tables are not there yet, and a transaction holds the file's lock: say "
                    "app.open() when your program starts, or run `polypool migrate --broker URL` before"
                ) from error
            raise mapped(error, self._path) from error
        self._is_shared = with_tables.is_shared
        with_tables.close()
        self._known = identity(self._path)

    def _refuse_elsewhere(self, databases: Sequence[Any]) -> None:
        """A transaction holds in one file: with a write-ahead log SQLite commits attached files one after the other."""
        for _, schema, path in databases:
            if path and identity(path) == self._known:
                if schema == "main":
                    return
                raise ConfigurationError(
                    f"{self._path} is attached to this connection as {schema!r}: a crash during the commit could keep "
                    "one file's part of it and lose the other's. Keep your tables in the broker's file, or "
                    'polypool\'s in yours (broker="sqlite:///FILE?shared=yes")'
                )
        main = next((path for _, schema, path in databases if schema == "main"), "") or "no file (in memory)"
        raise ConfigurationError(
            f"this connection is to {main}, the app's broker is {self._path}: nothing was sent. A transaction holds in "
            f'one file; name yours as the broker, as in broker="sqlite:///{os.path.basename(main)}?shared=yes"'
        )

    def _statement(self, name: str, **values: Any) -> Statement:
        sql = prefixed(SQL[name]) if self._is_shared else SQL[name]
        return Statement.of("sqlite", sql, {f":{mark}": value for mark, value in values.items()})


def _advise(error: Exception) -> None:
    """The driver's error stays as the program knows it; beside it stands what to do about a lock that was taken."""
    for one in (error, getattr(error, "orig", None), error.__cause__):
        if isinstance(one, sqlite3.OperationalError) and is_busy(one):
            error.add_note(
                "polypool: another process is writing, or was since this transaction began to read. Begin with BEGIN "
                "IMMEDIATE, which waits for its turn, give the connection a longer timeout, and keep transactions short"
            )
            return
