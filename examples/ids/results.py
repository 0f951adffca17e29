"""Where results are kept: one SQLite table, a row an id, written by as many processes as there are."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing

PATIENCE_S = 60.0
"""How long one writer waits for the others; a chunk's rows take milliseconds."""


def make(file: str) -> None:
    """The file with its table, once and before there are several processes: two that switch a file to a write-ahead log
    at the same moment get in each other's way, and SQLite does not wait then."""
    with closing(sqlite3.connect(file, timeout=PATIENCE_S, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE IF NOT EXISTS results (id INTEGER PRIMARY KEY, steps INTEGER NOT NULL)")


class Table:
    """A process's own connection to the table."""

    def __init__(self, file: str) -> None:
        self._connection = sqlite3.connect(file, timeout=PATIENCE_S, isolation_level=None)
        self._connection.execute("PRAGMA synchronous = NORMAL")

    def write(self, rows: Iterable[tuple[int, int]]) -> None:
        """All or none. Writing a row again changes nothing, so a chunk that is run again does no harm."""
        self._connection.execute("BEGIN IMMEDIATE")
        with self._connection:
            self._connection.executemany(
                "INSERT INTO results (id, steps) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET steps = excluded.steps",
                rows,
            )

    def close(self) -> None:
        self._connection.close()


def summed(file: str) -> tuple[int, int]:
    """How many rows there are, and the sum of what stands in them."""
    with closing(sqlite3.connect(file, timeout=PATIENCE_S)) as connection:
        count, total = connection.execute("SELECT count(*), coalesce(sum(steps), 0) FROM results").fetchone()
        return int(count), int(total)
