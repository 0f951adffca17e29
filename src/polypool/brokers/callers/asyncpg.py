"""asyncpg's connections, of one's own or out of a pool."""

from typing import Any

from polypool.brokers.callers.connection import Caller, Rows, refuse_foreign, refuse_outside
from polypool.core.inside import Statement


def awaited(connection: Any) -> Caller:
    name = "asyncpg connection"

    async def run(statement: Statement) -> Rows:
        refuse_foreign(statement, "postgresql", name)
        refuse_outside(connection.is_in_transaction(), name, "Send within `async with connection.transaction():`")
        rows: Rows = await connection.fetch(statement.numbered, *statement.values)
        return rows

    return Caller(name, True, run)
