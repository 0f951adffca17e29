"""sqlite3's connections and aiosqlite's, which wrap them."""

from typing import Any

from polypool.brokers.callers.connection import (
    Caller,
    Rows,
    aexecuted,
    executed,
    refuse_foreign,
    refuse_outside,
)
from polypool.core.inside import Statement

SPEAKS = "sqlite"


def blocking(connection: Any) -> Caller:
    name = "sqlite3 Connection"

    def run(statement: Statement) -> Rows:
        _check(connection, statement, name)
        cursor = connection.cursor()
        cursor.row_factory = None
        return executed(cursor, statement.questioned, statement.values)

    return Caller(name, False, run)


def awaited(connection: Any) -> Caller:
    name = "aiosqlite Connection"

    async def run(statement: Statement) -> Rows:
        _check(connection, statement, name)
        return await aexecuted(await connection.cursor(), statement.questioned, statement.values)

    return Caller(name, True, run)


def is_inside(connection: Any) -> bool:
    """Whether a transaction is open, or will be with the next INSERT."""
    if connection.in_transaction:
        return True
    # Python 3.12's own setting: True and False overrule the isolation level, -1 leaves it to that.
    autocommit = getattr(connection, "autocommit", -1)
    return not autocommit if isinstance(autocommit, bool) else connection.isolation_level is not None


def _check(connection: Any, statement: Statement, name: str) -> None:
    refuse_foreign(statement, SPEAKS, name)
    refuse_outside(is_inside(connection), name, 'It commits by itself: execute("BEGIN IMMEDIATE") before')
