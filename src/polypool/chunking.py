"""Chunking: many items sent as few messages, each of which runs the task for every item in its list.

Their size is given, or found while they are sent, from the time that those took which ended (`canvas/pace.py`).
"""

import operator
import sys
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from time import monotonic
from typing import Any, Protocol

from polypool.bulk import BATCH_COUNT, Batch, Dispatch, HoldsBack, awaiting, blocking, checked_max_pending, one_by_one
from polypool.canvas.pace import Pace
from polypool.core.error import ArgumentError, ConfigurationError, MessageTooLarge, SendError
from polypool.core.event import Record
from polypool.core.lifecycle import State
from polypool.core.message import Message
from polypool.core.port import Line
from polypool.core.running import running
from polypool.pending import Pending, Waits
from polypool.progress_bar import Meter

READS_FOR_S = 1.0
"""A source that has not given a chunk's items by then gives fewer: they are not held back."""
LOOKS_EVERY_S = 0.25
"""While nothing keeps it waiting, the sender looks so often at what has ended."""
TELLS_AFTER_S = 1.0
PART_AT_ONCE = 8
"""A batch is at most this part of what may be under way: sizes are to follow what was learned."""


class Encodes(Protocol):
    """A task's parameters, as far as chunks need them."""

    def encode(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bytes: ...
    def encode_each(self, items: list[Any], spreads: bool = False) -> bytes: ...


@dataclass(frozen=True)
class Chunks:
    """What is to be sent in chunks of `size` items each; None has the size found. `spreads`: each item is a tuple of
    arguments. `message_of` makes the message from a chunk's number and its arguments, encoded."""

    task: str
    arguments: Encodes
    items: Iterable[Any] | AsyncIterable[Any]
    size: int | None
    spreads: bool
    message_of: Callable[[int, bytes], Message]

    def __post_init__(self) -> None:
        _check_items(self.task, self.items)
        _check_size(self.task, self.size)


def send_chunks(line: Line, chunks: Chunks, meter: Meter, max_pending: int | None = None) -> int:
    """Send them in order; how many there were. `max_pending` counts chunks, otherwise as `bulk.send_all`."""
    if isinstance(chunks.items, AsyncIterable):
        raise TypeError(f"{chunks.task}: async iterables are sent by the twins that are awaited, as `achunks`")
    most, source = checked_max_pending(max_pending, blocks=True), iter(chunks.items)
    cutter = _Cutter(line, chunks, meter, most, may_wait=running.get() is None)
    with cutter.dispatch.telling():
        try:
            while items := _some(source, cutter.size, chunks.size is None):
                blocking(cutter.cut(items))
            blocking(cutter.flush())
        finally:
            blocking(cutter.dispatch.landed())
    return cutter.count


async def asend_chunks(line: Line, chunks: Chunks, meter: Meter, max_pending: int | None = None) -> int:
    """The same, awaited."""
    most, source = checked_max_pending(max_pending, blocks=False), aiter(one_by_one(chunks.items))
    cutter = _Cutter(line, chunks, meter, most, may_wait=True)
    with cutter.dispatch.telling():
        try:
            while items := await _asome(source, cutter.size, chunks.size is None):
                await awaiting(cutter.cut(items))
            await awaiting(cutter.flush())
        finally:
            await awaiting(cutter.dispatch.landed())
    return cutter.count


class _Cutter:
    """Makes messages of items, and hands them over in batches."""

    def __init__(self, line: Line, chunks: Chunks, meter: Meter, most: int | None, may_wait: bool) -> None:
        self.count = 0
        self._chunks = chunks
        self._read = 0
        self._most = most
        self._learning: _Learning | None = None
        pending: HoldsBack | None
        if chunks.size is None:
            pace = Pace(operator.length_hint(chunks.items) or None)
            pending = self._learning = _Learning(line, pace, meter, most, may_wait)
        else:
            pending = None if most is None else Pending(line, most, meter)
        self.dispatch = Dispatch(line, meter, self._how_far, pending)
        self._batch, self._batch_items = Batch(self._batch_count), 0

    @property
    def size(self) -> int:
        """Items of the next chunk."""
        if self._chunks.size is not None:
            return self._chunks.size
        assert self._learning is not None
        return self._learning.pace.size

    def cut(self, items: list[Any]) -> Waits[None]:
        """Make a chunk of these, or several where they are too large for one."""
        for part, body in self._encoded(items):
            message = self._chunks.message_of(self.count, body)
            self.count += 1
            self._read += len(part)
            if self._learning is not None:
                self._learning.made(message, len(part))
            self._batch_items += len(part)
            if self._batch.add(message):
                yield from self.flush()
        if self._learning is not None and self._learning.may_look():
            yield from self.dispatch.landed()  # of what is not durable yet nothing is known
            yield from self._learning.look()

    def flush(self) -> Waits[None]:
        """Hand over what was cut."""
        batch, items = self._batch, self._batch_items
        self._batch, self._batch_items = Batch(self._batch_count), 0
        if batch.messages:
            yield from self.dispatch.send(batch.messages, items)

    @property
    def _batch_count(self) -> int:
        most = sys.maxsize if self._most is None else self._most // 4
        if self._learning is not None:
            most = min(most, self._learning.limit // PART_AT_ONCE)
        return max(1, min(BATCH_COUNT, most))

    def _encoded(self, items: list[Any]) -> Iterator[tuple[list[Any], bytes]]:
        try:
            body = self._body(items)
        except MessageTooLarge:
            if self._learning is None or len(items) == 1:
                raise
            half = len(items) // 2
            yield from self._encoded(items[:half])
            yield from self._encoded(items[half:])
        else:
            yield items, body

    def _body(self, items: list[Any]) -> bytes:
        chunks = self._chunks
        try:
            if chunks.spreads:
                _check_tuples(chunks.task, items)
            return chunks.arguments.encode_each(items, chunks.spreads)
        except SendError as error:
            for place, item in enumerate(items):  # which of them it is
                try:
                    _check_tuples(chunks.task, [item] if chunks.spreads else [])
                    chunks.arguments.encode(tuple(item) if chunks.spreads else (item,), {})
                except SendError as its_error:
                    its_error.add_note(f"polypool: this was item {self._read + place:,}, counted from 0")
                    raise its_error from None
            raise error

    def _how_far(self, sent: int) -> str:
        told = f"polypool: the first {sent:,} items were sent before this"
        if self._learning is not None:
            return told
        return f"{told}. With a task_id= of your own, sending the same again sends only what is missing"


class _Learning:
    """Which chunks have not ended, and what those took which have. Holds the sender back so that it can learn."""

    def __init__(self, line: Line, pace: Pace, meter: Meter, most: int | None, may_wait: bool) -> None:
        self.pace = pace
        self._meter = meter
        self._may_wait = may_wait
        self._pending = Pending(line, sys.maxsize if most is None else most, meter, self._heard)
        self._items: dict[str, int] = {}
        """Of each chunk that has not ended."""
        self._heard_at = self._looked_at = monotonic()

    @property
    def limit(self) -> int:
        """How many chunks may be under way."""
        return min(self._pending.most, self.pace.ahead) if self._holds_back else self._pending.most

    @property
    def room(self) -> int:
        return self.limit - len(self._pending)

    def made(self, message: Message, items: int) -> None:
        self._items[message.id] = items
        self.pace.took(items, len(message.args))

    def add(self, batch: Sequence[Message]) -> None:
        if not len(self._pending):
            self._heard_at = monotonic()
        self._pending.add(batch)

    def make_room(self, wanted: int) -> Waits[None]:
        """Wait until more may be sent, or until it is clear that there is nobody to learn from."""
        while self._holds_back and self.room < 1:
            try:
                has_heard = yield from self._pending.wait(min(wanted, self.limit) - self.room, LOOKS_EVERY_S)
            except TimeoutError:  # in a test that only captures what is sent
                self._may_wait = False
                return
            if not has_heard:
                self._nothing_ended()
        if self.room < 1:
            yield from self._pending.make_room(wanted)

    def may_look(self) -> bool:
        """Whether it is time again to learn what there is to learn without waiting."""
        return len(self._pending) > 0 and monotonic() - self._looked_at >= LOOKS_EVERY_S

    def look(self) -> Waits[None]:
        self._looked_at = monotonic()
        yield from self._pending.look()

    @property
    def _holds_back(self) -> bool:
        return self._may_wait and self.pace.waits

    def _nothing_ended(self) -> None:
        oldest = next(iter(self._items.values()), 1)
        silence_s = monotonic() - self._heard_at
        self.pace.silent(silence_s, self._pending.running, self._pending.queued, oldest)
        if silence_s >= TELLS_AFTER_S:
            self._meter.waits(self._pending.why())

    def _heard(self, id: str, record: Record | None) -> None:
        self._heard_at = monotonic()
        items = self._items.pop(id)
        if record is not None and record.state is State.SUCCEEDED and record.usage is not None:
            usage = record.usage
            self.pace.ended(items, usage.started_at, usage.wall, len(record.value or b""))
        elif record is not None and record.state is State.FAILED:
            self.pace.failed()


def _some(source: Iterator[Any], count: int, in_time: bool) -> list[Any]:
    """So many items, or fewer: at the end, and (`in_time`) of a source that takes its time."""
    if not in_time:
        return list(islice(source, count))
    until = monotonic() + READS_FOR_S
    more = items = list(islice(source, 1))  # an empty answer means the end, whatever the time
    while more and len(items) < count and monotonic() < until:
        more = list(islice(source, min(count - len(items), len(items))))
        items += more
    return items


async def _asome(source: AsyncIterator[Any], count: int, in_time: bool) -> list[Any]:
    items: list[Any] = []
    until = monotonic() + READS_FOR_S
    async for item in source:
        items.append(item)
        if len(items) == count or (in_time and monotonic() >= until):
            break
    return items


def _check_items(task: str, items: object) -> None:
    if isinstance(items, str | bytes | bytearray | Mapping) or not isinstance(items, Iterable | AsyncIterable):
        raise TypeError(
            f"{task}: {_shown(items)} is no collection of items; chunks(items, n) takes an iterable of them"
        )


def _check_size(task: str, size: object) -> None:
    if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 1):
        raise ConfigurationError(
            f"{task}: n={_shown(size)} must be a whole number of items a chunk, at least 1; leave it out to have the "
            "size found from the time that chunks take"
        )


def _check_tuples(task: str, items: list[Any]) -> None:
    for item in items:
        if not isinstance(item, tuple | list):
            raise ArgumentError(
                f"{task}: {_shown(item)} is no tuple of arguments; for items that are the only argument say chunks"
            )


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
