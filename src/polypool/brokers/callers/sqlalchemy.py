"""SQLAlchemy's sessions and connections, over whatever driver: they begin a transaction by themselves."""

from typing import Any

from polypool.brokers.callers import psycopg, sqlite
from polypool.brokers.callers.connection import Caller, Rows, refuse_foreign, refuse_outside
from polypool.core.inside import Statement

_SIGNS = {
    "qmark": lambda statement: statement.questioned,
    "format": lambda statement: statement.percented,
    "pyformat": lambda statement: statement.percented,
    "numeric_dollar": lambda statement: statement.numbered,
}


def session(session: Any) -> Caller:
    return Caller("SQLAlchemy Session", False, lambda statement: _run(session.connection(), statement))


def connection(connection: Any) -> Caller:
    return Caller("SQLAlchemy Connection", False, lambda statement: _run(connection, statement))


def async_session(session: Any) -> Caller:
    async def run(statement: Statement) -> Rows:
        connection = await session.connection()
        rows: Rows = await connection.run_sync(_run, statement)
        return rows

    return Caller("SQLAlchemy AsyncSession", True, run)


def async_connection(connection: Any) -> Caller:
    async def run(statement: Statement) -> Rows:
        rows: Rows = await connection.run_sync(_run, statement)
        return rows

    return Caller("SQLAlchemy AsyncConnection", True, run)


def _run(connection: Any, statement: Statement) -> Rows:
    refuse_foreign(statement, connection.dialect.name, "SQLAlchemy connection")
    advice = 'Its engine has isolation_level="AUTOCOMMIT": use one that has not'
    refuse_outside(_is_inside(connection), "SQLAlchemy connection", advice)
    sql = _SIGNS[connection.dialect.paramstyle](statement)
    result = connection.exec_driver_sql(sql, statement.values)
    rows: Rows = result.fetchall() if result.returns_rows else ()
    return rows


def _is_inside(connection: Any) -> bool:
    """Whether the driver below has a transaction open, or opens one with the next statement."""
    if not connection.in_transaction():
        connection.begin()
    adapted = connection.connection.dbapi_connection
    level = getattr(adapted, "isolation_level", None)
    if type(adapted).__module__.startswith("sqlalchemy") and isinstance(level, str) and level == "autocommit":
        return False  # asyncpg's, whose transactions SQLAlchemy opens
    driver = connection.connection.driver_connection
    match type(driver).__module__.partition(".")[0]:
        case "sqlite3" | "aiosqlite":
            return sqlite.is_inside(driver)
        case "psycopg" | "psycopg2":
            return psycopg.is_inside(driver)
    return True
