"""Django's `django.db.connection`, over PostgreSQL or SQLite."""

from typing import Any

from polypool.brokers.callers.connection import Caller, Rows, executed, refuse_foreign, refuse_outside
from polypool.core.inside import Statement


def blocking(connection: Any) -> Caller:
    name = "Django connection"

    def run(statement: Statement) -> Rows:
        refuse_foreign(statement, connection.vendor, name)
        inside = connection.in_atomic_block or not connection.get_autocommit()
        refuse_outside(inside, name, "Send within `with transaction.atomic():`")
        return executed(connection.cursor(), statement.percented, statement.values)

    return Caller(name, False, run)
