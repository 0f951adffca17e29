"""Chunking: many items sent as few messages, each of which runs the task for every item in its list.

Their size is given, or found while they are sent, from the time that those took which ended (`canvas/pace.py`).
"""

import operator
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from itertools import islice
from time import monotonic
from typing import Any, Protocol

from polypool.canvas.pace import Pace
from polypool.core.error import ArgumentError, ConfigurationError, MessageTooLarge, SendError
from polypool.core.message import Message
from polypool.core.port import Line
from polypool.progress_bar import Meter
from polypool.sending.bulk import asend_all, one_by_one, send_all

READS_FOR_S = 1.0
"""Where sizes are found, a source that has not given a chunk's items by then gives fewer: they are not held back."""


class Encodes(Protocol):
    """A task's parameters, as far as chunks need them."""

    def encode(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bytes: ...
    def encode_each(self, items: list[Any], spreads: bool = False) -> bytes: ...


def check_items(task: str, items: object) -> None:
    """TypeError for what is no collection of items, or hardly meant as one."""
    if isinstance(items, str | bytes | bytearray | Mapping) or not isinstance(items, Iterable | AsyncIterable):
        raise TypeError(
            f"{task}: {_shown(items)} is no collection of items; chunks(items, n) takes an iterable of them"
        )


def check_size(task: str, n: object) -> None:
    """ConfigurationError for what is neither a number of items nor None, which has it found."""
    if n is not None and (type(n) is not int or n < 1):
        raise ConfigurationError(
            f"{task}: n={_shown(n)} must be a whole number of items a chunk, at least 1; leave it out to have the "
            "size found from the time that chunks take"
        )


class Sizes:
    """How many items each chunk is to have: always `n`, or what `pace` says at the time."""

    def __init__(self, items: object, n: int | None) -> None:
        self._n = n
        self.pace = Pace(operator.length_hint(items) or None) if n is None else None

    def cut(self, items: Iterable[Any]) -> Iterator[list[Any]]:
        """The items, chunk by chunk, read as far as needed."""
        source = iter(items)
        while chunk := self._next(source):
            yield chunk

    async def acut(self, items: AsyncIterable[Any]) -> AsyncIterator[list[Any]]:
        chunk: list[Any] = []
        until = 0.0
        async for item in items:
            if not chunk:
                size, until = self._size, monotonic() + READS_FOR_S
            chunk.append(item)
            if len(chunk) >= size or (self.pace is not None and monotonic() >= until):
                yield chunk
                chunk = []
        if chunk:
            yield chunk

    @property
    def _size(self) -> int:
        if self._n is not None:
            return self._n
        assert self.pace is not None
        return self.pace.size

    def _next(self, source: Iterator[Any]) -> list[Any]:
        if self._n is not None:
            return list(islice(source, self._n))
        size, until = self._size, monotonic() + READS_FOR_S
        more = items = list(islice(source, 1))  # nothing means the end, whatever the time
        while more and len(items) < size and monotonic() < until:
            more = list(islice(source, min(size - len(items), len(items))))
            items += more
        return items


class Chunks:
    """A task's items as messages, `n` in each; None has their number found while they are sent. `message_of` makes one
    from its number and its arguments, encoded; `spreads`: each item is a tuple of arguments."""

    def __init__(
        self,
        task: str,
        arguments: Encodes,
        items: Iterable[Any] | AsyncIterable[Any],
        n: int | None,
        spreads: bool,
        message_of: Callable[[int, bytes], Message],
    ) -> None:
        check_items(task, items)
        check_size(task, n)
        self._task = task
        self._arguments = arguments
        self._items = items
        self._sizes = Sizes(items, n)
        self._spreads = spreads
        self._message_of = message_of
        self._count = 0
        self._read = 0

    @property
    def pace(self) -> Pace | None:
        """To be told what chunks take that end, where their size is found."""
        return self._sizes.pace

    def messages(self) -> Iterator[Message]:
        """Made when read. ArgumentError, NotEncodable and MessageTooLarge say of which item."""
        if isinstance(self._items, AsyncIterable):
            raise TypeError(f"{self._task}: async iterables are sent by the twins that are awaited, as `achunks`")
        for chunk in self._sizes.cut(self._items):
            yield from self._made(chunk)

    async def amessages(self) -> AsyncIterator[Message]:
        async for chunk in self._sizes.acut(one_by_one(self._items)):
            for message in self._made(chunk):
                yield message

    def how_far(self, sent: int) -> str:
        """What an error is told."""
        told = f"polypool: the first {sent:,} items were sent before this"
        if self.pace is not None:
            return told
        return f"{told}. With a task_id= of your own, sending the same again sends only what is missing"

    def _made(self, items: list[Any]) -> Iterator[Message]:
        """One message, or several where a size that was found makes too large a one."""
        try:
            body = self._body(items)
        except MessageTooLarge:
            if self.pace is None or len(items) == 1:
                raise
            half = len(items) // 2
            yield from self._made(items[:half])
            yield from self._made(items[half:])
        else:
            self._read += len(items)
            self._count += 1
            yield self._message_of(self._count - 1, body)

    def _body(self, items: list[Any]) -> bytes:
        try:
            if self._spreads:
                self._check_tuples(items)
            return self._arguments.encode_each(items, self._spreads)
        except SendError as error:
            for place, item in enumerate(items):  # which of them it is
                try:
                    self._check_one(item)
                except SendError as its_error:
                    its_error.add_note(f"polypool: this was item {self._read + place:,}, counted from 0")
                    raise its_error from None
            raise error

    def _check_one(self, item: Any) -> None:
        if self._spreads:
            self._check_tuples([item])
        self._arguments.encode(tuple(item) if self._spreads else (item,), {})

    def _check_tuples(self, items: list[Any]) -> None:
        for item in items:
            if not isinstance(item, tuple | list):
                raise ArgumentError(
                    f"{self._task}: {_shown(item)} is no tuple of arguments; say chunks where an item is all of them"
                )


def send_chunks(line: Line, chunks: Chunks, meter: Meter, max_pending: int | None = None) -> int:
    """Send them in order; how many chunks there were. As `bulk.send_all`; `max_pending` counts chunks."""
    return send_all(line, chunks.messages(), meter, chunks.how_far, max_pending, chunks.pace)


async def asend_chunks(line: Line, chunks: Chunks, meter: Meter, max_pending: int | None = None) -> int:
    """The same, awaited."""
    return await asend_all(line, chunks.amessages(), meter, chunks.how_far, max_pending, chunks.pace)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
