"""Our tables in a file of the app's: all their names begin with `polypool_`, and no setting of the file is ours.

So a transaction of the app's can hold its own rows and what it sends. The statements are written once, for a file of
our own; here they get the other names.
"""

import re
import sqlite3
from functools import lru_cache
from typing import Any

from polypool.brokers.sqlite.statements import SQL

PREFIX = "polypool_"
_TABLES = "|".join(re.findall(r"CREATE TABLE (\w+)", SQL["schema"]))
_NAMED = re.compile(rf"\b(FROM|JOIN|INTO|UPDATE)\s+({_TABLES})\b(\s+AS\b)?")
_MADE = re.compile(
    rf"\b(CREATE TABLE|ALTER TABLE|CREATE INDEX|DROP INDEX|CREATE TRIGGER)\s+(?!IF\b|{PREFIX})(\w+)"
    rf"|\b(ON)\s+({_TABLES})\b(?=\s*\(|\s+WHEN\b)"
)


class Connection(sqlite3.Connection):
    """A connection to a file of our own or, once `is_shared` is set, of the app's."""

    is_shared = False

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        return super().execute(prefixed(sql) if self.is_shared else sql, parameters)


@lru_cache(256)
def prefixed(sql: str) -> str:
    """A statement with the tables' names in a shared file; within it they are called as before."""
    sql = _NAMED.sub(lambda found: f"{found[1]} {PREFIX}{found[2]}{found[3] or f' AS {found[2]}'}", sql)
    return _MADE.sub(lambda found: f"{found[1] or found[3]} {PREFIX}{found[2] or found[4]}", sql)
