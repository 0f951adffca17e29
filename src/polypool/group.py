"""GroupResult: the tasks of one `map`, held by two values: the group's id and how many they are.

A task's id is the group's id and its index, so a group of a million holds no list of ids.
"""

import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence
from typing import Any, Generic, Literal, TypeVar, overload

from polypool.core.ask import Await, Cancel, Read
from polypool.core.event import Record
from polypool.core.running import running
from polypool.ending import error_of
from polypool.outlet import Conversation, Outlet
from polypool.result import AsyncResult, all_ended_now, ending_now, unknown, wait_for_ending
from polypool.watching import PATIENCE

V = TypeVar("V")

WINDOW = 1_000
"""Tasks asked about at a time: what bounds memory and the size of one answer."""


class GroupResult(Generic[V]):
    """Tasks that were sent together, seen from outside, in the order in which they were sent.

    `group[i]` is the i-th task's AsyncResult; iterating yields the values in order, as they come.
    Methods that begin with `a` are the awaited twins of those that block.
    """

    __slots__ = ("_count", "_ended", "_outlet", "id")

    def __init__(self, id: str, count: int, outlet: Outlet) -> None:
        self.id = id
        self._count = count
        self._outlet = outlet
        self._ended = bytearray(count)
        """1 where a task is known to have ended, so that nobody asks twice."""

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> AsyncResult[V]:
        place = index + self._count if index < 0 else index
        if not 0 <= place < self._count:
            raise IndexError(f"group {self.id} has {self._count} tasks; there is no index {index}")
        return AsyncResult(f"{self.id}-{place}", self._outlet)

    @property
    def results(self) -> Sequence[AsyncResult[V]]:
        """An AsyncResult for each task, made when looked at."""
        return Results(self.__getitem__, range(self._count))

    @property
    def completed_count(self) -> int:
        """How many have ended by now, in whatever way."""
        return self._outlet.hold(self._ask_completed_count())

    async def acompleted_count(self) -> int:
        return await self._outlet.ahold(self._ask_completed_count())

    def ready(self) -> bool:
        """Whether all have ended."""
        return self.completed_count == self._count

    async def aready(self) -> bool:
        return await self.acompleted_count() == self._count

    @overload
    def get(self, timeout: float | None = None, *, raise_errors: Literal[True] = True) -> list[V]: ...
    @overload
    def get(self, timeout: float | None = None, *, raise_errors: bool) -> list[V | Exception]: ...
    def get(self, timeout: float | None = None, *, raise_errors: bool = True) -> Any:
        """All values in order, waiting at most `timeout` seconds for them (TimeoutError).

        The first task, in order, that did not succeed raises; with `raise_errors=False` its error stands in its place.
        """
        return self._outlet.hold(self._ask_all(timeout, raise_errors, may_wait=running.get() is None))

    @overload
    async def aget(self, timeout: float | None = None, *, raise_errors: Literal[True] = True) -> list[V]: ...
    @overload
    async def aget(self, timeout: float | None = None, *, raise_errors: bool) -> list[V | Exception]: ...
    async def aget(self, timeout: float | None = None, *, raise_errors: bool = True) -> Any:
        return await self._outlet.ahold(self._ask_all(timeout, raise_errors))

    def __await__(self) -> Generator[Any, None, list[V]]:
        return self.aget().__await__()

    def __iter__(self) -> Iterator[V]:
        """The values in order; a task that did not succeed raises at its turn."""
        turn = _Turn(self._count)
        while turn:
            for record in self._outlet.hold(self._ask_next(turn, None, may_wait=running.get() is None)):
                yield self._value(record)

    async def __aiter__(self) -> AsyncIterator[V]:
        turn = _Turn(self._count)
        while turn:
            for record in await self._outlet.ahold(self._ask_next(turn, None)):
                yield self._value(record)

    def as_completed(self, timeout: float | None = None) -> Iterator[AsyncResult[V]]:
        """The tasks' results as they end; `get()` of each returns at once.

        Looks at 1,000 tasks at a time that have not ended, the first ones first.
        """
        deadline, waiting = _deadline(timeout), _Waiting(self._count)
        while waiting:
            for record in self._outlet.hold(self._ask_some_ended(waiting, deadline, running.get() is None)):
                yield AsyncResult(record.id, self._outlet, record)

    async def aas_completed(self, timeout: float | None = None) -> AsyncIterator[AsyncResult[V]]:
        deadline, waiting = _deadline(timeout), _Waiting(self._count)
        while waiting:
            for record in await self._outlet.ahold(self._ask_some_ended(waiting, deadline)):
                yield AsyncResult(record.id, self._outlet, record)

    def cancel(self) -> int:
        """End all that have not ended; how many that were."""
        return self._outlet.hold(self._ask_cancel())

    async def acancel(self) -> int:
        return await self._outlet.ahold(self._ask_cancel())

    def _ids(self, indexes: Sequence[int]) -> list[str]:
        return [f"{self.id}-{index}" for index in indexes]

    def _ask_completed_count(self) -> Conversation[int]:
        for start in range(0, self._count, WINDOW):
            stop = min(start + WINDOW, self._count)
            open_ones = [index for index in range(start, stop) if not self._ended[index]]
            if open_ones:
                records = yield Read(self._ids(open_ones))
                for index, record in zip(open_ones, records, strict=True):
                    self._ended[index] = record is not None and record.state.is_final
        return sum(self._ended)

    def _ask_all(self, timeout: float | None, raise_errors: bool, may_wait: bool = True) -> Conversation[list[Any]]:
        deadline, turn = _deadline(timeout), _Turn(self._count)
        values: list[Any] = []
        while turn:
            for record in (yield from self._ask_next(turn, deadline, may_wait)):
                values.append(self._value(record) if raise_errors else self._value_or_error(record))
        return values

    def _ask_next(self, turn: "_Turn", deadline: float | None, may_wait: bool = True) -> Conversation[list[Record]]:
        """The records that come next in order, at least one, waiting for it."""
        records = yield Read(self._ids(turn.indexes()))
        ended = _ended_prefix(records)
        if not ended:
            (first,) = self._ids([turn.next])
            left = None if deadline is None else max(deadline - time.monotonic(), 0.0)
            ended = [(yield from wait_for_ending(first, left) if may_wait else ending_now(first))]
        turn.advance(len(ended))
        return ended

    def _ask_some_ended(
        self, waiting: "_Waiting", deadline: float | None, may_wait: bool = True
    ) -> Conversation[list[Record]]:
        while True:
            waiting.refill()
            ids = self._ids(waiting.indexes)
            if not may_wait:
                yield from all_ended_now(ids)
            left = PATIENCE if deadline is None else max(deadline - time.monotonic(), 0.0)
            ended: list[Record] = yield Await(ids, min(left, PATIENCE))
            if ended:
                waiting.remove({int(record.id.rpartition("-")[2]) for record in ended})
                return ended
            for id, record in zip(ids, (yield Read(ids)), strict=True):
                if record is None:
                    raise unknown(id)
            if deadline is not None and time.monotonic() >= deadline:
                raise TimeoutError(f"group {self.id}: no more of its {self._count} tasks have ended in time")

    def _ask_cancel(self) -> Conversation[int]:
        cancelled = 0
        for start in range(0, self._count, WINDOW):
            answers = yield Cancel(self._ids(range(start, min(start + WINDOW, self._count))))
            cancelled += sum(answers)
        return cancelled

    def _value(self, record: Record) -> V:
        error = error_of(record)
        if error is not None:
            raise error
        value: V = self._outlet.read_value(record.task, record.value)
        return value

    def _value_or_error(self, record: Record) -> V | Exception:
        return error_of(record) or self._value(record)

    def __repr__(self) -> str:
        return f"<GroupResult {self.id}, {self._count} tasks>"


class Results(Sequence[AsyncResult[V]]):
    """The AsyncResults of a group or a part of it, made when looked at."""

    def __init__(self, result_at: Callable[[int], AsyncResult[V]], indexes: range) -> None:
        self._result_at = result_at
        self._indexes = indexes

    def __len__(self) -> int:
        return len(self._indexes)

    @overload
    def __getitem__(self, index: int) -> AsyncResult[V]: ...
    @overload
    def __getitem__(self, index: slice) -> "Results[V]": ...
    def __getitem__(self, index: int | slice) -> "AsyncResult[V] | Results[V]":
        if isinstance(index, slice):
            return Results(self._result_at, self._indexes[index])
        return self._result_at(self._indexes[index])


class _Turn:
    """Whose turn it is, and how many to ask about at once: more while all of them had ended, fewer when not."""

    def __init__(self, count: int) -> None:
        self.next = 0
        self._count = count
        self._width = 32

    def __bool__(self) -> bool:
        return self.next < self._count

    def indexes(self) -> range:
        return range(self.next, min(self.next + self._width, self._count))

    def advance(self, count: int) -> None:
        self.next += count
        self._width = min(max(2 * count, 1), WINDOW)


class _Waiting:
    """The first tasks that have not ended, as far as one ask reaches."""

    def __init__(self, count: int) -> None:
        self.indexes: list[int] = []
        self._rest = iter(range(count))
        self._left = count

    def __bool__(self) -> bool:
        return self._left > 0

    def refill(self) -> None:
        while len(self.indexes) < WINDOW and (index := next(self._rest, None)) is not None:
            self.indexes.append(index)

    def remove(self, ended: set[int]) -> None:
        self.indexes = [index for index in self.indexes if index not in ended]
        self._left -= len(ended)


def _ended_prefix(records: Sequence[Record | None]) -> list[Record]:
    ended: list[Record] = []
    for record in records:
        if record is None or not record.state.is_final:
            break
        ended.append(record)
    return ended


def _deadline(timeout: float | None) -> float | None:
    return None if timeout is None else time.monotonic() + timeout
