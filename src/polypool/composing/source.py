"""Source: a group's members, as a list, or as an iterator that is read once and as far as needed."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import Generic, TypeVar

from polypool.core.error import ConfigurationError

T = TypeVar("T")

AT_ONCE = 2_000
"""Messages that are written in one atomic step; members that are read before anything is sent."""
MOST_LISTED = 10_000
"""Members of a group that are held at once. Beyond that they are read while they are sent."""


TOO_MANY = (
    f"a group of more than {MOST_LISTED:,} members is read while it is sent, so its workflow has to begin with it, and "
    "here something comes before it or is around it. Have the step before it return the group, which then takes that "
    "step's place, or send fewer and larger members, with group.chunks(task, items)"
)


class Source(Generic[T]):
    """Made of a list, or of an iterator. Copies of one that reads share what it reads."""

    __slots__ = ("_first", "_read", "_rest", "_was_streamed")

    def __init__(self, members: Iterable[T]) -> None:
        self._read: list[T] = members if isinstance(members, list) else []
        self._rest: Iterator[T] | None = None if isinstance(members, list) else iter(members)
        self._was_streamed = False
        self._first: T | None = None

    @property
    def is_listed(self) -> bool:
        """Whether all of them are in memory."""
        return self._rest is None

    @property
    def count_hint(self) -> int | None:
        """How many there are, where that is known."""
        return len(self._read) if self.is_listed else None

    def first(self) -> T | None:
        """The first one, also when it was handed on."""
        if self._first is None:
            self.read(1)
            self._first = self._read[0] if self._read else None
        return self._first

    def read(self, count: int) -> bool:
        """Read until so many are in memory. Whether that is all of them."""
        if self._rest is None:
            return len(self._read) <= count
        self._read += islice(self._rest, max(count + 1 - len(self._read), 0))
        if len(self._read) <= count:
            self._rest = None
            return True
        return False

    def listed(self) -> list[T]:
        """All of them. ConfigurationError for more than MOST_LISTED that are not in memory yet."""
        self._refuse_again()
        if not self.is_listed and not self.read(MOST_LISTED):
            raise ConfigurationError(TOO_MANY)
        return self._read

    def stream(self) -> Iterator[T]:
        """All of them, one after the other; of an iterator only once."""
        self._refuse_again()
        if self._rest is None:
            return iter(self._read)
        self.first()
        self._was_streamed = True
        read, self._read = self._read, []
        return chain(read, self._rest)

    def copied(self, copy: Callable[[T], T]) -> "Source[T]":
        """A copy; of an iterator, the same: it can only be read once."""
        return Source([copy(one) for one in self._read]) if self.is_listed else self

    def _refuse_again(self) -> None:
        if self._was_streamed:
            raise ConfigurationError(
                "this group was read from an iterator and sent, and the iterator is at its end; make the group anew"
            )

    def __repr__(self) -> str:
        return repr(self._read).strip("[]") if self.is_listed else "…"
