"""AsyncResult: what the sender of a task holds. Ask how it stands, wait for it, watch it, cancel it."""

import time
from collections.abc import AsyncIterator, Generator, Iterator
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

from polypool.conversation import Conversation
from polypool.core.ask import Await, Read
from polypool.core.error import ResultUnknown
from polypool.core.event import Record
from polypool.core.lifecycle import State
from polypool.core.running import running, wait_refused
from polypool.outlet import Outlet
from polypool.results.cancelling import cancel
from polypool.results.ending import error_of
from polypool.results.lineage import Relative, children_of, parent_of
from polypool.results.reading import read_value
from polypool.results.watching import PATIENCE, Ended, TaskEvent, next_events

if TYPE_CHECKING:
    from polypool.results.group import GroupResult

V = TypeVar("V")

Status = State | Literal["unknown"]
"""One of the six states, or "unknown": never sent, purged, or past its time to live."""


class AsyncResult(Generic[V]):
    """A task that was sent, seen from outside.

    Methods that begin with `a` are the awaited twins of those that block.
    """

    __slots__ = ("_outlet", "_record", "id")

    def __init__(self, id: str, outlet: Outlet, record: Record | None = None) -> None:
        self.id = id
        self._outlet = outlet
        self._record = record
        """Once it has ended, what is known of it."""

    @property
    def status(self) -> Status:
        """Its state now: scheduled, queued, running, succeeded, failed, cancelled or unknown."""
        return self._outlet.hold(self._ask_status())

    async def astatus(self) -> Status:
        return await self._outlet.ahold(self._ask_status())

    def ready(self) -> bool:
        """Whether it has ended, in whatever way. ResultUnknown rather than a False that would never change."""
        return self._has_ended(self.status)

    async def aready(self) -> bool:
        return self._has_ended(await self.astatus())

    def get(self, timeout: float | None = None) -> V:
        """Wait until it ended; return what it returned, or raise how it ended (TaskError).

        TimeoutError after `timeout` seconds; the task goes on. Inside a running task only what has ended already can
        be had this way (WaitInsideTask); an async task may `await result`.
        """
        return self._outlet.hold(self._ask_value(timeout, may_wait=running.get() is None))

    async def aget(self, timeout: float | None = None) -> V:
        return await self._outlet.ahold(self._ask_value(timeout))

    def __await__(self) -> Generator[Any, None, V]:
        return self.aget().__await__()

    def cancel(self) -> bool:
        """End it early, also while it runs. False: it had ended before, or is unknown.

        Of a workflow all that has not ended is ended: steps that wait, that run, and what they were replaced by.
        Callbacks are not run.
        """
        return self._outlet.hold(cancel(self.id))

    async def acancel(self) -> bool:
        return await self._outlet.ahold(cancel(self.id))

    @property
    def parent(self) -> "AsyncResult[Any] | GroupResult[Any] | None":
        """In a workflow: the step or the group that it waited for. None of the first one, and outside of workflows."""
        return self._handle(self._outlet.hold(parent_of(self.id)))

    async def aparent(self) -> "AsyncResult[Any] | GroupResult[Any] | None":
        return self._handle(await self._outlet.ahold(parent_of(self.id)))

    @property
    def children(self) -> "list[AsyncResult[Any] | GroupResult[Any]]":
        """In a workflow: what waits for its result, its callbacks, of a group its members (a GroupResult), and the end
        of the workflow that its run returned."""
        return [self._handle(one) for one in self._outlet.hold(children_of(self.id))]

    async def achildren(self) -> "list[AsyncResult[Any] | GroupResult[Any]]":
        return [self._handle(one) for one in await self._outlet.ahold(children_of(self.id))]

    def events(self, after: str | None = None) -> Iterator[TaskEvent]:
        """What it tells, as it comes: Started, Progress, Emitted, and Ended last.

        `after` is the id of the last event you saw; None begins at the beginning. Only a bounded history is kept.
        """
        while True:
            for event in self._outlet.hold(next_events(self.id, after)):
                yield event
                if isinstance(event, Ended):
                    return
                after = event.id

    async def aevents(self, after: str | None = None) -> AsyncIterator[TaskEvent]:
        while True:
            for event in await self._outlet.ahold(next_events(self.id, after)):
                yield event
                if isinstance(event, Ended):
                    return
                after = event.id

    @overload
    def _handle(self, relative: Relative) -> "AsyncResult[Any] | GroupResult[Any]": ...
    @overload
    def _handle(self, relative: None) -> None: ...
    def _handle(self, relative: Relative | None) -> "AsyncResult[Any] | GroupResult[Any] | None":
        if relative is None:
            return None
        if not relative.is_group:
            return AsyncResult(relative.id, self._outlet)
        from polypool.results.group import GroupResult

        return GroupResult(relative.id, relative.count, self._outlet)

    def _ask_status(self) -> Conversation[Status]:
        if self._record is None:
            (record,) = yield Read([self.id])
            if record is None:
                return "unknown"
            if not record.state.is_final:
                return State(record.state)
            self._record = record
        return self._record.state

    def _ask_value(self, timeout: float | None, may_wait: bool = True) -> Conversation[V]:
        if self._record is None:
            if may_wait:
                self._record = yield from wait_for_ending(self.id, timeout)
            else:
                self._record = yield from ending_now(self.id)
        value: V = yield from opened(self._record, self._outlet)
        return value

    def _has_ended(self, status: Status) -> bool:
        if status == "unknown":
            raise unknown(self.id)
        return status.is_final

    def __repr__(self) -> str:
        return f"<AsyncResult {self.id}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AsyncResult) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)


def opened(record: Record, outlet: Outlet) -> Conversation[Any]:
    """What a task that has ended returned, or how it ended raised."""
    error = error_of(record)
    if error is not None:
        raise error
    return (yield from read_value(record, outlet))


def wait_for_ending(id: str, timeout: float | None) -> Conversation[Record]:
    """The record of a task once it has ended. TimeoutError, ResultUnknown."""
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        left = PATIENCE if deadline is None else max(deadline - time.monotonic(), 0.0)
        ended: list[Record] = yield Await([id], min(left, PATIENCE))
        if ended:
            return ended[0]
        record: Record | None
        (record,) = yield Read([id])
        if record is None:
            raise unknown(id)
        if record.state.is_final:
            return record
        if deadline is not None and time.monotonic() >= deadline:
            raise TimeoutError(_not_yet(record, timeout))


def ending_now(id: str) -> Conversation[Record]:
    """The record of a task that has ended already. WaitInsideTask, ResultUnknown."""
    (record,) = yield from all_ended_now([id])
    return record


def all_ended_now(ids: list[str]) -> Conversation[list[Record]]:
    """The same for several."""
    ended: list[Record] = []
    for id, record in zip(ids, (yield Read(ids)), strict=True):
        if record is None:
            raise unknown(id)
        if not record.state.is_final:
            raise wait_refused(id, record.state)
        ended.append(record)
    return ended


def unknown(id: str) -> ResultUnknown:
    """The error for an id of which the engine knows nothing."""
    return ResultUnknown(
        f"no task {id} is known: it was never sent, the transaction it was sent in has not been committed, it was "
        "purged, or its time to live (result_ttl) is over",
        task_id=id,
    )


def _not_yet(record: Record, timeout: float | None) -> str:
    hint = {
        State.QUEUED: "no worker has taken it; `polypool status` shows which run and which queues they serve",
        State.SCHEDULED: "it waits for its time (a countdown, an eta or a retry) or, in a workflow, for the steps "
        f"before it: `polypool workflow show {record.id}` tells",
    }.get(record.state, "its worker is at it; result.cancel() would end it")
    return f"{record.task} {record.id} is still {record.state} after {round(timeout or 0, 2):g} s: {hint}"
