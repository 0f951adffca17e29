"""GroupResult: the tasks of one `map`, or the members of a group, held by two values: an id and how many they are.

A task's id is the group's id and its index, so a group of a million holds no list of ids.
"""

from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence
from typing import Any, Generic, Literal, TypeVar, overload

from polypool.core.running import running
from polypool.outlet import Outlet
from polypool.progress_bar import Meter
from polypool.results.cancelling import cancel_members
from polypool.results.members import (
    Members,
    RaiseErrors,
    Turn,
    Waiting,
    Wanted,
    collect,
    next_in_order,
    some_ended,
)
from polypool.results.result import AsyncResult, opened

V = TypeVar("V")


class GroupResult(Generic[V]):
    """Tasks that were sent together, seen from outside, in the order in which they were sent.

    `group[i]` is the i-th task's AsyncResult; iterating yields the values in order, as they come.
    Methods that begin with `a` are the awaited twins of those that block. A group of a workflow need not be told its
    `count`: it asks for it when it first needs it.
    """

    __slots__ = ("_members", "_outlet", "id")

    def __init__(self, id: str, count: int | None, outlet: Outlet) -> None:
        self.id = id
        self._members = Members(id, count)
        self._outlet = outlet

    def __len__(self) -> int:
        return self._outlet.hold(self._members.count())

    async def acount(self) -> int:
        """How many tasks it has: `len(group)`, awaited."""
        return await self._outlet.ahold(self._members.count())

    def __getitem__(self, index: int) -> AsyncResult[V]:
        count = len(self)
        place = index + count if index < 0 else index
        if not 0 <= place < count:
            raise IndexError(f"group {self.id} has {count} tasks; there is no index {index}")
        return AsyncResult(f"{self.id}-{place}", self._outlet)

    @property
    def results(self) -> Sequence[AsyncResult[V]]:
        """An AsyncResult for each task, made when looked at."""
        return Results(self.__getitem__, range(len(self)))

    @property
    def parent(self) -> "AsyncResult[Any] | GroupResult[Any] | None":
        """In a workflow: the step or the group whose result its members waited for."""
        return AsyncResult[Any](self.id, self._outlet).parent

    async def aparent(self) -> "AsyncResult[Any] | GroupResult[Any] | None":
        return await AsyncResult[Any](self.id, self._outlet).aparent()

    @property
    def completed_count(self) -> int:
        """How many have ended by now, in whatever way."""
        return self._outlet.hold(self._members.completed())

    async def acompleted_count(self) -> int:
        return await self._outlet.ahold(self._members.completed())

    def ready(self) -> bool:
        """Whether all have ended."""
        return self.completed_count == len(self)

    async def aready(self) -> bool:
        return await self.acompleted_count() == await self.acount()

    @overload
    def get(
        self, timeout: float | None = None, *, raise_errors: Literal[True, "all"] = True, progress: bool = False
    ) -> list[V]: ...
    @overload
    def get(
        self, timeout: float | None = None, *, raise_errors: bool, progress: bool = False
    ) -> list[V | Exception]: ...
    def get(self, timeout: float | None = None, *, raise_errors: RaiseErrors = True, progress: bool = False) -> Any:
        """All values in order, waiting at most `timeout` seconds for them (TimeoutError).

        The first task, in order, that did not succeed raises. With `raise_errors="all"` an ExceptionGroup is raised
        once all have ended: it holds the errors of the first hundred that did not succeed, and counts the rest. With
        `raise_errors=False` each error stands in its place. `progress=True` shows a bar on stderr.
        """
        wanted = self._wanted(timeout, raise_errors, progress, may_wait=running.get() is None)
        return self._outlet.hold(collect(self._members, wanted, self._outlet))

    @overload
    async def aget(
        self, timeout: float | None = None, *, raise_errors: Literal[True, "all"] = True, progress: bool = False
    ) -> list[V]: ...
    @overload
    async def aget(
        self, timeout: float | None = None, *, raise_errors: bool, progress: bool = False
    ) -> list[V | Exception]: ...
    async def aget(
        self, timeout: float | None = None, *, raise_errors: RaiseErrors = True, progress: bool = False
    ) -> Any:
        wanted = self._wanted(timeout, raise_errors, progress)
        return await self._outlet.ahold(collect(self._members, wanted, self._outlet))

    def __await__(self) -> Generator[Any, None, list[V]]:
        return self.aget().__await__()

    def __iter__(self) -> Iterator[V]:
        """The values in order; a task that did not succeed raises at its turn."""
        turn, wanted = Turn(len(self)), Wanted(None, True, None, may_wait=running.get() is None)
        while turn:
            for record in self._outlet.hold(next_in_order(self._members, turn, wanted)):
                yield self._outlet.hold(opened(record, self._outlet))

    async def __aiter__(self) -> AsyncIterator[V]:
        turn, wanted = Turn(await self.acount()), Wanted(None, True, None)
        while turn:
            for record in await self._outlet.ahold(next_in_order(self._members, turn, wanted)):
                yield await self._outlet.ahold(opened(record, self._outlet))

    def as_completed(self, timeout: float | None = None) -> Iterator[AsyncResult[V]]:
        """The tasks' results as they end; `get()` of each returns at once.

        Looks at 1,000 tasks at a time that have not ended, the first ones first.
        """
        waiting, wanted = Waiting(len(self)), Wanted(timeout, True, None, may_wait=running.get() is None)
        while waiting:
            for record in self._outlet.hold(some_ended(self._members, waiting, wanted)):
                yield AsyncResult(record.id, self._outlet, record)

    async def aas_completed(self, timeout: float | None = None) -> AsyncIterator[AsyncResult[V]]:
        waiting, wanted = Waiting(await self.acount()), Wanted(timeout, True, None)
        while waiting:
            for record in await self._outlet.ahold(some_ended(self._members, waiting, wanted)):
                yield AsyncResult(record.id, self._outlet, record)

    def cancel(self) -> int:
        """End all that have not ended, with all that belongs to them; how many tasks of this group that were."""
        return self._outlet.hold(cancel_members(self.id, self._members.known))

    async def acancel(self) -> int:
        return await self._outlet.ahold(cancel_members(self.id, self._members.known))

    def _wanted(
        self, timeout: float | None, raise_errors: RaiseErrors, progress: bool, may_wait: bool = True
    ) -> Wanted:
        meter = Meter(f"group {self.id}", self._members.known, shown=True, doing="waiting for") if progress else None
        return Wanted(timeout, raise_errors, meter, may_wait)

    def __repr__(self) -> str:
        count = "?" if self._members.known is None else self._members.known
        return f"<GroupResult {self.id}, {count} tasks>"


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
