"""Sending many: read lazily, sent in batches, one batch being written while the next is encoded.

However many there are, memory holds three batches of them. With `max_pending` it also holds their ids.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Any, Protocol, TypeVar

from polypool.canvas.pace import Pace
from polypool.core.ask import Put
from polypool.core.error import ConfigurationError, EngineUnreachable, WaitInsideTask
from polypool.core.message import Message
from polypool.core.port import Answer, Line
from polypool.core.running import running
from polypool.progress_bar import Meter
from polypool.sending.learning import Learning, items_in
from polypool.sending.pending import Pause, Pending, Waits, patiently

BATCH_COUNT = 1_000
BATCH_BYTES = 1 << 20
BATCH_AGE_S = 1.0
"""What comes slowly is not held back for longer, but until the next one comes."""
IN_FLIGHT = 2
"""Batches handed over and not yet durable; one more is being filled."""

T = TypeVar("T")


def send_all(
    line: Line,
    messages: Iterable[Message],
    meter: Meter,
    how_far: Callable[[int], str] | None = None,
    max_pending: int | None = None,
    pace: Pace | None = None,
) -> int:
    """Send them in order; how many there were. An id that is known already is passed over.

    `max_pending`: never more than so many of them that have not ended, however long that takes. `pace` is told what
    those took that end, and holds the rest back so that it can learn: they are chunks, cut as it says. When the
    iterable or the engine fails, what was accepted until then stays sent, and the error says how much. One that is held
    back goes on when the engine was away for less than a minute.
    """
    dispatch = Dispatch(line, meter, how_far, _held_back(line, meter, max_pending, pace, blocks=True))
    with dispatch.telling():
        try:
            for message in messages:
                if dispatch.add(message):
                    blocking(dispatch.flush())
            blocking(dispatch.flush())
        finally:
            blocking(dispatch.landed())
    return dispatch.count


async def asend_all(
    line: Line,
    messages: AsyncIterable[Message],
    meter: Meter,
    how_far: Callable[[int], str] | None = None,
    max_pending: int | None = None,
    pace: Pace | None = None,
) -> int:
    """The same, awaited; other coroutines run between two batches."""
    dispatch = Dispatch(line, meter, how_far, _held_back(line, meter, max_pending, pace, blocks=False))
    with dispatch.telling():
        try:
            async for message in messages:
                if dispatch.add(message):
                    await awaiting(dispatch.flush())
            await awaiting(dispatch.flush())
        finally:
            await awaiting(dispatch.landed())
    return dispatch.count


class HoldsBack(Protocol):
    """What knows how many more may be sent now, and waits until it is at least one; `Pending` and `Learning` are."""

    @property
    def room(self) -> int: ...
    @property
    def batch_count(self) -> int:
        """How many are best sent at once."""

    def add(self, batch: Sequence[Message]) -> None:
        """These are about to be sent."""

    def make_room(self, wanted: int) -> Waits[None]: ...

    @property
    def is_curious(self) -> bool:
        """Whether it wants to `look` at what has ended, once all that was added is durable."""

    def look(self) -> Waits[None]: ...


class Dispatch:
    """Gathers messages to batches and hands them over to the engine, a few ahead of what is durable.

    A batch is full by count, by bytes, or by the time it took to come together.
    """

    def __init__(
        self, line: Line, meter: Meter, how_far: Callable[[int], str] | None = None, held_by: HoldsBack | None = None
    ) -> None:
        self.count = 0
        """Messages that are durable; of chunks, `_items` counts what is in them."""
        self._items = 0
        self._line = line
        self._meter = meter
        self._how_far = how_far or _how_far
        self._held_by = held_by
        self._under_way: deque[tuple[list[Message], Answer]] = deque()
        self._begin()

    def _begin(self) -> None:
        self._batch: list[Message] = []
        self._bytes = 0
        self._most = BATCH_COUNT if self._held_by is None else min(BATCH_COUNT, self._held_by.batch_count)

    def add(self, message: Message) -> bool:
        """Whether the batch is full now."""
        if not self._batch:
            self._began = monotonic()
        self._batch.append(message)
        self._bytes += len(message.args)
        is_large = len(self._batch) >= self._most or self._bytes >= BATCH_BYTES
        return is_large or monotonic() - self._began >= BATCH_AGE_S

    def flush(self) -> Waits[None]:
        """Hand over what was gathered: as a whole, or in parts as there is room for them."""
        rest = self._batch
        while rest:
            part, rest = rest, []
            if self._held_by is not None:
                room = yield from self._room(self._held_by, len(part))
                part, rest = part[:room], part[room:]
                self._held_by.add(part)
            self._under_way.append((part, self._line.ask(Put(part))))
            if len(self._under_way) > IN_FLIGHT:
                yield from self._first_landed()
        self._begin()

    def _room(self, held_by: HoldsBack, wanted: int) -> Waits[int]:
        if held_by.is_curious or held_by.room < wanted:
            yield from self.landed()  # of what is not durable yet nothing is known
        if held_by.is_curious:
            yield from held_by.look()
        if held_by.room < wanted:
            yield from held_by.make_room(wanted)
        return held_by.room

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
            error.add_note(self._how_far(self._items))
            raise

    def _first_landed(self) -> Waits[None]:
        batch, answer = self._under_way.popleft()
        try:
            try:
                yield answer
            except EngineUnreachable:
                if self._held_by is None:
                    raise
                yield from patiently(self._line, Put(batch))  # what was written all the same is passed over
        except BaseException:
            self._under_way.clear()  # "the first so many" ends here, whatever became of those behind
            raise
        items = sum(map(items_in, batch))
        self.count += len(batch)
        self._items += items
        self._meter.advance(items)


def blocking(waits: Waits[T]) -> T:
    """Wait for each answer as this thread or greenlet waits."""
    try:
        wanted = next(waits)
        while True:
            try:
                if isinstance(wanted, Pause):
                    sleep(wanted.seconds)
                reply = None if isinstance(wanted, Pause) else wanted.result()
            except BaseException as error:
                wanted = waits.throw(error)
            else:
                wanted = waits.send(reply)
    except StopIteration as end:
        value: T = end.value
        return value


async def awaiting(waits: Waits[T]) -> T:
    """Await each answer."""
    try:
        wanted = next(waits)
        while True:
            try:
                reply = await (asyncio.sleep(wanted.seconds) if isinstance(wanted, Pause) else wanted)
            except BaseException as error:
                wanted = waits.throw(error)
            else:
                wanted = waits.send(reply)
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


def _held_back(line: Line, meter: Meter, max_pending: int | None, pace: Pace | None, blocks: bool) -> HoldsBack | None:
    most = checked_max_pending(max_pending, blocks)
    if pace is not None:
        return Learning(line, pace, meter, most, may_wait=not blocks or running.get() is None)
    return None if most is None else Pending(line, most, meter)


def _how_far(sent: int) -> str:
    return (
        f"polypool: the first {sent:,} were sent before this. With a task_id= of your own, sending the same again "
        "sends only what is missing"
    )
