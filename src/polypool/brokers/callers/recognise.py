"""Which driver a connection is of: known by the names of its classes, so that nobody has to have any of them."""

from collections.abc import Callable
from typing import Any

from polypool.brokers.callers import asyncpg, django, psycopg, sqlalchemy, sqlite
from polypool.brokers.callers.connection import Caller
from polypool.core.error import ConfigurationError

_KNOWN: dict[tuple[str, str], Callable[[Any], Caller]] = {
    ("psycopg", "Connection"): psycopg.blocking,
    ("psycopg", "AsyncConnection"): psycopg.awaited,
    ("psycopg2", "connection"): psycopg.psycopg2,
    ("asyncpg", "Connection"): asyncpg.awaited,
    ("asyncpg", "PoolConnectionProxy"): asyncpg.awaited,
    ("sqlite3", "Connection"): sqlite.blocking,
    ("aiosqlite", "Connection"): sqlite.awaited,
    ("sqlalchemy", "Session"): sqlalchemy.session,
    ("sqlalchemy", "scoped_session"): sqlalchemy.session,
    ("sqlalchemy", "Connection"): sqlalchemy.connection,
    ("sqlalchemy", "AsyncSession"): sqlalchemy.async_session,
    ("sqlalchemy", "async_scoped_session"): sqlalchemy.async_session,
    ("sqlalchemy", "AsyncConnection"): sqlalchemy.async_connection,
    ("django", "BaseDatabaseWrapper"): django.blocking,
    ("django", "ConnectionProxy"): django.blocking,
}


def recognised(connection: Any) -> Caller | None:
    """None for what is no connection, or of a driver that is not known here."""
    for kind in type(connection).__mro__:
        made = _KNOWN.get((kind.__module__.partition(".")[0], kind.__name__))
        if made is not None:
            return made(connection)
    return None


def recognise(connection: Any) -> Caller:
    """ConfigurationError where `recognised` finds nothing."""
    found = recognised(connection)
    if found is None:
        kind = type(connection)
        raise ConfigurationError(
            f"task.using({kind.__module__}.{kind.__qualname__}): this is no connection that polypool knows. There are "
            "psycopg's Connection and AsyncConnection, asyncpg's, sqlite3's and aiosqlite's, SQLAlchemy's Session, "
            "Connection, AsyncSession and AsyncConnection, and django.db.connection. From an engine, a pool or a "
            "sessionmaker take a connection first, and begin a transaction on it"
        )
    return found
