"""Sending many: read lazily, sent in batches, one batch being written while the next is encoded.

However many there are, memory holds three batches of them.
"""

from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import TypeVar

from polypool.core.ask import Put
from polypool.core.message import Message
from polypool.core.port import Answer, Line
from polypool.progress_bar import Meter

BATCH_COUNT = 1_000
BATCH_BYTES = 1 << 20
IN_FLIGHT = 2
"""Batches handed over and not yet durable; one more is being filled."""

T = TypeVar("T")


def send_all(line: Line, messages: Iterable[Message], meter: Meter, how_far: Callable[[int], str] | None = None) -> int:
    """Send them in order; how many there were. An id that is known already is passed over.

    When the iterable or the engine fails, what was accepted until then stays sent, and the error says how much.
    """
    under_way: deque[tuple[int, Answer]] = deque()
    sent = 0
    try:
        with meter:
            try:
                for batch in _batches(messages):
                    under_way.append((len(batch), line.ask(Put(batch))))
                    if len(under_way) > IN_FLIGHT:
                        sent += _landed(under_way, meter)
            finally:
                while under_way:
                    sent += _landed(under_way, meter)
    except Exception as error:
        error.add_note((how_far or _how_far)(sent))
        raise
    return sent


async def asend_all(
    line: Line, messages: AsyncIterable[Message], meter: Meter, how_far: Callable[[int], str] | None = None
) -> int:
    """The same, awaited; other coroutines run between two batches."""
    under_way: deque[tuple[int, Answer]] = deque()
    sent = 0
    try:
        with meter:
            try:
                async for batch in _abatches(messages):
                    under_way.append((len(batch), line.ask(Put(batch))))
                    if len(under_way) > IN_FLIGHT:
                        sent += await _alanded(under_way, meter)
            finally:
                while under_way:
                    sent += await _alanded(under_way, meter)
    except Exception as error:
        error.add_note((how_far or _how_far)(sent))
        raise
    return sent


async def one_by_one(items: Iterable[T] | AsyncIterable[T]) -> AsyncIterator[T]:
    """Either kind of iterable as an async one."""
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item


def _landed(under_way: deque[tuple[int, Answer]], meter: Meter) -> int:
    count, answer = under_way.popleft()
    try:
        answer.result()
    except Exception:
        under_way.clear()  # "the first so many" ends here, whatever became of those behind
        raise
    meter.advance(count)
    return count


async def _alanded(under_way: deque[tuple[int, Answer]], meter: Meter) -> int:
    count, answer = under_way.popleft()
    try:
        await answer
    except Exception:
        under_way.clear()
        raise
    meter.advance(count)
    return count


class _Batch:
    """Messages until there are enough of them, by count or by bytes."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._bytes = 0

    def add(self, message: Message) -> bool:
        """Whether it is full now."""
        self.messages.append(message)
        self._bytes += len(message.args)
        return len(self.messages) >= BATCH_COUNT or self._bytes >= BATCH_BYTES


def _batches(messages: Iterable[Message]) -> Iterator[list[Message]]:
    batch = _Batch()
    for message in messages:
        if batch.add(message):
            yield batch.messages
            batch = _Batch()
    if batch.messages:
        yield batch.messages


async def _abatches(messages: AsyncIterable[Message]) -> AsyncIterator[list[Message]]:
    batch = _Batch()
    async for message in messages:
        if batch.add(message):
            yield batch.messages
            batch = _Batch()
    if batch.messages:
        yield batch.messages


def _how_far(sent: int) -> str:
    return (
        f"polypool: the first {sent:,} were sent before this. With a task_id= of your own, sending the same again "
        "sends only what is missing"
    )
