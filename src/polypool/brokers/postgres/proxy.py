"""A transaction-pooling proxy (PgBouncer) on the way: how it is noticed, and how statements keep together behind it.

Each transaction may run on another connection to the server, so that nothing which belongs to a session works: LISTEN,
settings, prepared statements.
"""

from typing import Any, TypeAlias

import asyncpg

AnyConnection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


def is_proxy(error: BaseException) -> bool:
    """Whether a proxy is in between that gives us no session of our own: it refuses our settings, or the statements
    that we prepared are on another connection than the one that is to run them."""
    if isinstance(error, asyncpg.InvalidSQLStatementNameError | asyncpg.DuplicatePreparedStatementError):
        return True
    return isinstance(error, asyncpg.PostgresError) and "unsupported startup parameter" in str(error)


def together(connection: AnyConnection) -> Any:
    """What runs inside runs on one and the same connection to the server, as an async context manager. Even a single
    statement needs this: the driver sends it in two messages, parse and execute."""
    return connection.transaction(isolation="read_committed")
