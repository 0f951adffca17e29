"""Caller: a connection of the sender's own, as far as a send inside its transaction needs it."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from typing import Any

import msgspec

from polypool.core.error import ConfigurationError
from polypool.core.inside import Statement

Rows = Sequence[Any]

OPEN_ONE = "there is no transaction open on this {name}, so what is sent would be kept whatever comes after. {advice}"


class Caller(msgspec.Struct, frozen=True):
    """How to run a statement there. `run` returns the rows, or for an `is_async` one a coroutine that does; it raises
    ConfigurationError where no transaction is open and none opens by itself, and the driver's own errors."""

    name: str
    is_async: bool
    run: Callable[[Statement], Any]


def refuse_foreign(statement: Statement, speaks: str, name: str) -> None:
    """ConfigurationError where a statement is not in this connection's language."""
    if statement.speaks != speaks:
        raise ConfigurationError(
            f"this {name} leads to a {speaks} database, and the app's tasks are kept in a {statement.speaks} one: a "
            "transaction holds in one database only. Give task.using() a connection to the app's own, or send with "
            "delay() after the commit"
        )


def refuse_outside(is_inside: bool, name: str, advice: str) -> None:
    """ConfigurationError with what opens a transaction, unless one is open."""
    if not is_inside:
        raise ConfigurationError(OPEN_ONE.format(name=name, advice=advice))


def executed(cursor: Any, sql: str, values: Sequence[Any]) -> Rows:
    """The rows of a statement on a cursor that blocks (PEP 249), which is then closed."""
    with closing(cursor):
        cursor.execute(sql, values)
        rows: Rows = cursor.fetchall() if cursor.description else ()
        return rows


async def aexecuted(cursor: Any, sql: str, values: Sequence[Any]) -> Rows:
    """The same on a cursor whose methods are awaited."""
    try:
        await cursor.execute(sql, values)
        rows: Rows = await cursor.fetchall() if cursor.description else ()
        return rows
    finally:
        closed: Awaitable[None] = cursor.close()
        await closed
