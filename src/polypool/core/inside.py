"""What sends within a transaction of the sender's own: statements for its connection, and the port that makes them."""

import re
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from polypool.core.message import Message
from polypool.core.port import Engine


class Statement(msgspec.Struct, frozen=True):
    """SQL cut where its values go. `speaks` says whose it is, "postgresql" or "sqlite"; `values` are texts, numbers or
    bytes, in the order of the cuts."""

    speaks: str
    pieces: tuple[str, ...]
    values: tuple[Any, ...] = ()

    @classmethod
    def of(cls, speaks: str, sql: str, values: Mapping[str, Any] | None = None) -> "Statement":
        """From SQL and what its marks (`$1`, `:rows`) stand for; lines that are comments are left out."""
        sql = "\n".join(line for line in sql.splitlines() if not line.startswith("--"))
        if not values:
            return cls(speaks, (sql,))
        marks = "|".join(re.escape(mark) for mark in sorted(values, key=len, reverse=True))
        cut = re.split(rf"({marks})\b", sql)
        return cls(speaks, tuple(cut[::2]), tuple(values[mark] for mark in cut[1::2]))

    def written(self, sign: Callable[[int], str], escaped: Callable[[str], str] = str) -> str:
        """The SQL with a driver's own signs for its values, counted from 1."""
        pieces = [escaped(piece) for piece in self.pieces]
        signed = [sign(number) + piece for number, piece in enumerate(pieces[1:], 1)]
        return pieces[0] + "".join(signed)

    @property
    def numbered(self) -> str:
        """With `$1`, `$2`, as PostgreSQL itself writes them."""
        return self.written(lambda number: f"${number}")

    @property
    def questioned(self) -> str:
        """With `?`."""
        return self.written(lambda _: "?")

    @property
    def percented(self) -> str:
        """With `%s`, every other percent sign doubled."""
        return self.written(lambda _: "%s", lambda text: text.replace("%", "%%"))


class Inside(Protocol):
    """Puts messages within a transaction of the sender's own: says what its connection has to run, and reads what came
    of it. The engine itself is not connected."""

    def put(self, messages: Sequence[Message]) -> Generator[Statement, Sequence[Any], list[bool]]:
        """Statements, each answered with its rows, or with the driver's error thrown in. Ends as `Broker.put` does, and
        raises its errors before there is a first statement. Wrong database: ConfigurationError, and nothing written."""


class Transactional(Engine, Protocol):
    """An engine with the trait `transactions`."""

    @property
    def inside(self) -> Inside: ...
