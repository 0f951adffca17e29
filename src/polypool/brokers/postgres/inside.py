"""Sending inside a transaction of the sender's own, on its own connection to the database with polypool's tables."""

import os
import re
import time
from collections.abc import Generator, Iterable, Sequence
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from polypool.brokers.postgres.options import Options, shown
from polypool.brokers.postgres.rows import encoded, waits
from polypool.brokers.postgres.statements import Statements
from polypool.core.error import ConfigurationError, EngineDamaged
from polypool.core.inside import Statement
from polypool.core.message import Message
from polypool.core.port import Traits

Asking = Generator[Statement, Sequence[Any], list[bool]]

TRIES = 3
"""A lane's first use takes two."""
_CAST = re.compile(r"\$\d+::")
_MISSING = ("42P01", "3F000", "42703")
_NO_RIGHTS = "42501"


class PostgresInside:
    """The port `Inside`."""

    def __init__(self, url: str, traits: Traits) -> None:
        dsn, options = Options.parse(url)
        self._statements = Statements(options.schema)
        self._traits = traits
        self._server = shown(url)
        # A pooler's names for databases may be its own.
        self._database = "" if options.pooled else _database(dsn)

    def put(self, messages: Sequence[Message]) -> Asking:
        given: dict[str, tuple[Message, bytes]] = {}
        for message, body in encoded(messages, self._traits):
            given.setdefault(message.id, (message, body))
        if not given:
            return []
        try:
            new = yield from self._put(list(given.values()))
            if refused := [id for id in given if id not in new]:
                rows = yield self._statement("free", _array(refused), repr(time.time()))
                if free := {row[0] for row in rows}:
                    new |= yield from self._put([given[id] for id in refused if id in free])
        except Exception as error:
            if (said := self._in_words(error)) is not None:
                raise said from error
            raise
        accepted = []
        for message in messages:
            accepted.append(message.id in new)
            new.discard(message.id)
        return accepted

    def _put(self, given: Sequence[tuple[Message, bytes]]) -> Generator[Statement, Sequence[Any], set[str]]:
        """The ids that were new; each is given once."""
        messages = [message for message, _ in given]
        inside = self._statement(
            "inside",
            _array(message.id for message in messages),
            _array(message.task for message in messages),
            _array(message.queue for message in messages),
            _array(message.pool for message in messages),
            _array(str(message.priority) for message in messages),
            _array(_due(message) for message in messages),
            _array(f"\\x{body.hex()}" for _, body in given),
            _array(None if (places := waits(message)) is None else str(places) for message in messages),
            self._database,
        )
        for _ in range(TRIES):
            rows = yield inside
            self._refuse_elsewhere(next(row[1] for row in rows if row[0] == "database"))
            if not any(row[0] == "lane" for row in rows):
                return {row[1] for row in rows if row[0] == "new"}
            for lane in sorted({message.lane for message in messages}):
                yield self._statement("lane", *lane)
        raise EngineDamaged(f"{self._server}: a new lane does not stay; does a trigger or a rule change the tables?")

    def _refuse_elsewhere(self, database: str) -> None:
        if self._database not in ("", database):
            raise ConfigurationError(
                f"this connection leads to the database {database!r}, the app's broker is {self._server}: nothing was "
                "sent. A transaction holds in one database; give task.using() a connection to that one, or name this "
                "one as the broker (behind a pooler whose names differ say ?pooled=yes in the broker's URL)"
            )

    def _statement(self, name: str, *values: str) -> Statement:
        """One of the engine's, with every value a text in PostgreSQL's own writing: all drivers can send that."""
        sql = _CAST.sub(r"\g<0>text::", self._statements[name])
        return Statement.of("postgresql", sql, {f"${number}": value for number, value in enumerate(values, 1)})

    def _in_words(self, error: Exception) -> Exception | None:
        """What of a driver's errors is about polypool's tables; the rest stays as the program knows it."""
        state = _state(error)
        if state in _MISSING:
            return EngineDamaged(
                f"the database of this connection has no tables of polypool in schema {self._statements.schema!r}, or "
                f"of another version; run `polypool migrate --broker URL` for it, or connect to the app's broker, "
                f"{self._server} (PostgreSQL says: {error})"
            )
        if state == _NO_RIGHTS:
            return EngineDamaged(
                f"{self._server}: this connection's user lacks rights on schema {self._statements.schema!r}; grant "
                f"USAGE on it and SELECT, INSERT, UPDATE, DELETE on its tables (PostgreSQL says: {error})"
            )
        return None


def _due(message: Message) -> str | None:
    if message.is_waiting:
        return repr(message.due_when_ready)
    return None if message.due is None else repr(message.due)


def _array(values: Iterable[str | None]) -> str:
    """A list in PostgreSQL's own writing."""
    return "{" + ",".join("NULL" if value is None else _quoted(value) for value in values) + "}"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _database(dsn: str) -> str:
    """Which database a URL leads to, as the driver reads it."""
    parts = urlsplit(dsn)
    options = dict(parse_qsl(parts.query))
    named = options.get("dbname") or options.get("database") or unquote(parts.path).strip("/")
    named = named or os.environ.get("PGDATABASE") or options.get("user") or unquote(parts.username or "")
    return named or os.environ.get("PGUSER", "")


def _state(error: BaseException) -> str | None:
    """The SQLSTATE, wherever a driver or what is around it keeps that."""
    for one in (error, getattr(error, "orig", None), error.__cause__, getattr(error, "__context__", None)):
        for name in ("sqlstate", "pgcode"):
            if isinstance(state := getattr(one, name, None), str):
                return state
    return None
