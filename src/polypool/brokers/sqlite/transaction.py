"""What one job may do inside a write transaction, and what is to happen once it is committed."""

import contextlib
import enum
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from polypool.brokers.sqlite.statements import SQL

BATCH_ROWS, BATCH_BYTES = 1000, 8 * 1024 * 1024
"""What one statement is given at most."""

_json = msgspec.json.Encoder()
_from_json = msgspec.json.Decoder()


class Ring(enum.StrEnum):
    """What there is to look at again."""

    WORK = "work"
    RESULTS = "results"
    ORDERS = "orders"


class Recount(Exception):
    """Not all rows of a batch took part: it must be rolled back and done again with care, to say which did."""


def to_json(value: Any) -> str:
    return _json.encode(value).decode()


def query(connection: sqlite3.Connection, name: str, **arguments: Any) -> Any:
    """The one row of a statement, None where there is none."""
    return connection.execute(SQL[name], arguments).fetchone()


def query_json(connection: sqlite3.Connection, name: str, **arguments: Any) -> Any:
    """The JSON in a statement's one row, decoded: however many rows it stands for, they cost one step."""
    return _from_json.decode(query(connection, name, **arguments)[0])


@contextlib.contextmanager
def one_moment(connection: sqlite3.Connection) -> Iterator[None]:
    """Several reads of the file as it was at one moment."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("COMMIT")


class Transaction:
    """A connection between BEGIN IMMEDIATE and COMMIT."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.rings: set[Ring] = set()
        self.after_commit: list[Callable[[], None]] = []
        self._change: int | None = None

    def run(self, name: str, **arguments: Any) -> int:
        """Run a statement; how many rows it changed."""
        return self.connection.execute(SQL[name], arguments).rowcount

    def row(self, name: str, **arguments: Any) -> Any:
        return query(self.connection, name, **arguments)

    def json(self, name: str, **arguments: Any) -> Any:
        return query_json(self.connection, name, **arguments)

    def rows(self, name: str, **arguments: Any) -> list[Any]:
        return self.connection.execute(SQL[name], arguments).fetchall()

    @property
    def change(self) -> int:
        """This transaction's number, for whoever asks what has ended since."""
        if self._change is None:
            [(self._change,)] = self.rows("tick")
        return self._change


class Packed:
    """Rows for a statement that takes a whole batch at once: JSON for the small fields, one blob for the large ones."""

    def __init__(self) -> None:
        self._rows: list[tuple[Any, ...]] = []
        self._blobs: list[bytes] = []
        self.size = 0

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, *fields: Any, blob: bytes = b"") -> None:
        """A row; its blob's offset (counted from 1) and length come last."""
        self._rows.append((*fields, self.size + 1, len(blob)))
        self._blobs.append(blob)
        self.size += len(blob)

    @property
    def is_full(self) -> bool:
        """Whether it is time to hand over what there is."""
        return len(self._rows) >= BATCH_ROWS or self.size >= BATCH_BYTES

    @property
    def rows(self) -> str:
        return to_json(self._rows)

    @property
    def blob(self) -> bytes:
        return b"".join(self._blobs)
