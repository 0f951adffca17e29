"""psycopg 3's connections; the blocking ones of psycopg2 too."""

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

SPEAKS = "postgresql"
IDLE = 0
"""libpq's transaction status of a connection on which none is open."""


def blocking(connection: Any) -> Caller:
    name = "psycopg Connection"

    def run(statement: Statement) -> Rows:
        _check(connection, statement, name)
        return executed(connection.cursor(row_factory=_rows()), statement.percented, statement.values)

    return Caller(name, False, run)


def awaited(connection: Any) -> Caller:
    name = "psycopg AsyncConnection"

    async def run(statement: Statement) -> Rows:
        _check(connection, statement, name)
        return await aexecuted(connection.cursor(row_factory=_rows()), statement.percented, statement.values)

    return Caller(name, True, run)


def psycopg2(connection: Any) -> Caller:
    name = "psycopg2 connection"

    def run(statement: Statement) -> Rows:
        _check(connection, statement, name)
        return executed(connection.cursor(), statement.percented, statement.values)

    return Caller(name, False, run)


def is_inside(connection: Any) -> bool:
    """Whether a transaction is open, or will be with the next statement."""
    return not connection.autocommit or connection.info.transaction_status != IDLE


def _check(connection: Any, statement: Statement, name: str) -> None:
    refuse_foreign(statement, SPEAKS, name)
    refuse_outside(
        is_inside(connection), name, "It is in autocommit mode: send within `with connection.transaction():`"
    )


def _rows() -> Any:
    """Plain tuples, whatever rows the connection was told to make."""
    from psycopg.rows import tuple_row

    return tuple_row
