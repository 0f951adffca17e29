"""Sending many: read lazily, sent in batches, one batch being written while the next is encoded.

However many there are, memory holds three batches of them. With `max_pending` it also holds their ids.
"""

from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Any, Protocol, TypeVar

from polypool.core.ask import Put
from polypool.core.error import ConfigurationError, WaitInsideTask
from polypool.core.message import Message
from polypool.core.port import Answer, Line
from polypool.core.running import running
from polypool.pending import Pending, Waits
from polypool.progress_bar import Meter

BATCH_COUNT = 1_000
BATCH_BYTES = 1 << 20
BATCH_AGE_S = 1.0
"""What comes slowly is not held back for longer, but until the next one comes."""
IN_FLIGHT = 2
"""Batches handed over and not yet durable; one more is being filled."""
SHARE_AT_ONCE = 4
"""With `max_pending`, a batch is this part of it: some are replaced while the others run."""

T = TypeVar("T")


def send_all(
    line: Line,
    messages: Iterable[Message],
    meter: Meter,
    how_far: Callable[[int], str] | None = None,
    max_pending: int | None = None,
) -> int:
    """Send them in order; how many there were. An id that is known already is passed over.

    `max_pending`: never more than so many of them that have not ended, however long that takes. When the iterable or
    the engine fails, what was accepted until then stays sent, and the error says how much.
    """
    most = checked_max_pending(max_pending, blocks=True)
    dispatch = Dispatch(line, meter, how_far, Pending(line, most, meter) if most else None)
    with dispatch.telling():
        try:
            for batch in _batches(messages, _batch_count(most)):
                blocking(dispatch.send(batch, len(batch)))
        finally:
            blocking(dispatch.landed())
    return dispatch.sent


async def asend_all(
    line: Line,
    messages: AsyncIterable[Message],
    meter: Meter,
    how_far: Callable[[int], str] | None = None,
    max_pending: int | None = None,
) -> int:
    """The same, awaited; other coroutines run between two batches."""
    most = checked_max_pending(max_pending, blocks=False)
    dispatch = Dispatch(line, meter, how_far, Pending(line, most, meter) if most else None)
    with dispatch.telling():
        try:
            async for batch in _abatches(messages, _batch_count(most)):
                await awaiting(dispatch.send(batch, len(batch)))
        finally:
            await awaiting(dispatch.landed())
    return dispatch.sent


class HoldsBack(Protocol):
    """What knows how many more may be sent now, and waits until it is at least one; `Pending` is one."""

    @property
    def room(self) -> int: ...
    def add(self, batch: Sequence[Message]) -> None: ...
    def make_room(self, wanted: int) -> Waits[None]: ...


class Dispatch:
    """Hands batches over to the engine, a few ahead of what is durable. `sent` counts the items that are."""

    def __init__(
        self, line: Line, meter: Meter, how_far: Callable[[int], str] | None = None, pending: HoldsBack | None = None
    ) -> None:
        self.sent = 0
        self._line = line
        self._meter = meter
        self._how_far = how_far or _how_far
        self._pending = pending
        self._under_way: deque[tuple[int, Answer]] = deque()

    def send(self, batch: list[Message], items: int) -> Waits[None]:
        """Hand over a batch, which holds so many items: as a whole, or in parts as there is room for them."""
        rest = batch
        while rest:
            part, rest = rest, []
            if self._pending is not None:
                if self._pending.room < len(part):
                    yield from self.landed()  # what is not durable yet cannot be waited for
                    yield from self._pending.make_room(len(part))
                    part, rest = part[: self._pending.room], part[self._pending.room :]
                self._pending.add(part)
            self._under_way.append((items * len(part) // len(batch), self._line.ask(Put(part))))
            if len(self._under_way) > IN_FLIGHT:
                yield from self._first_landed()

    def landed(self) -> Waits[None]:
        """Wait until all that was handed over is durable."""
        while self._under_way:
            yield from self._first_landed()

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Around it all: shows the meter, and adds to an error, Ctrl-C included, how far it came."""
        try:
            with self._meter:
                yield
        except BaseException as error:
            error.add_note(self._how_far(self.sent))
            raise

    def _first_landed(self) -> Waits[None]:
        items, answer = self._under_way.popleft()
        try:
            yield answer
        except BaseException:
            self._under_way.clear()  # "the first so many" ends here, whatever became of those behind
            raise
        self.sent += items
        self._meter.advance(items)


def blocking(waits: Waits[T]) -> T:
    """Wait for each answer as this thread or greenlet waits."""
    try:
        answer = next(waits)
        while True:
            try:
                reply = answer.result()
            except BaseException as error:
                answer = waits.throw(error)
            else:
                answer = waits.send(reply)
    except StopIteration as end:
        value: T = end.value
        return value


async def awaiting(waits: Waits[T]) -> T:
    """Await each answer."""
    try:
        answer = next(waits)
        while True:
            try:
                reply = await answer
            except BaseException as error:
                answer = waits.throw(error)
            else:
                answer = waits.send(reply)
    except StopIteration as end:
        value: T = end.value
        return value


def apart(options: Mapping[str, Any]) -> tuple[bool | None, int | None, dict[str, Any]]:
    """How many are sent (`progress` and `max_pending`), and the options of each."""
    rest = dict(options)
    return rest.pop("progress", None), rest.pop("max_pending", None), rest


def checked_max_pending(max_pending: Any, blocks: bool) -> int | None:
    """ConfigurationError for what is no number of tasks, WaitInsideTask where a task would block for others."""
    if max_pending is None:
        return None
    is_whole = isinstance(max_pending, int) and not isinstance(max_pending, bool)
    if not is_whole or max_pending < 1:
        raise ConfigurationError(
            f"max_pending={max_pending!r} must be a whole number of tasks, at least 1; leave it out to have no bound"
        )
    if blocks and running.get() is not None:
        raise WaitInsideTask(
            "max_pending waits for tasks to end, and inside a running task that could be for ever: this one holds the "
            "slot which they may need. Leave max_pending out, or make this task `async def` and await the twin that "
            "begins with `a`"
        )
    return int(max_pending)


async def one_by_one(items: Iterable[T] | AsyncIterable[T]) -> AsyncIterator[T]:
    """Either kind of iterable as an async one."""
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item


class Batch:
    """Messages until there are enough of them, by count, by bytes or by the time it took to get them."""

    def __init__(self, most: int = BATCH_COUNT) -> None:
        self.messages: list[Message] = []
        self._most = most
        self._bytes = 0
        self._began = 0.0

    def add(self, message: Message) -> bool:
        """Whether it is full now."""
        if not self.messages:
            self._began = monotonic()
        self.messages.append(message)
        self._bytes += len(message.args)
        is_large = len(self.messages) >= self._most or self._bytes >= BATCH_BYTES
        return is_large or monotonic() - self._began >= BATCH_AGE_S


def _batch_count(max_pending: int | None) -> int:
    return BATCH_COUNT if max_pending is None else max(1, min(BATCH_COUNT, max_pending // SHARE_AT_ONCE))


def _batches(messages: Iterable[Message], most: int) -> Iterator[list[Message]]:
    batch = Batch(most)
    for message in messages:
        if batch.add(message):
            yield batch.messages
            batch = Batch(most)
    if batch.messages:
        yield batch.messages


async def _abatches(messages: AsyncIterable[Message], most: int) -> AsyncIterator[list[Message]]:
    batch = Batch(most)
    async for message in messages:
        if batch.add(message):
            yield batch.messages
            batch = Batch(most)
    if batch.messages:
        yield batch.messages


def _how_far(sent: int) -> str:
    return (
        f"polypool: the first {sent:,} were sent before this. With a task_id= of your own, sending the same again "
        "sends only what is missing"
    )
