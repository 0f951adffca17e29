"""The members of a group, asked about in windows: how many have ended, which comes next, what all of them gave."""

import time
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from polypool.conversation import Conversation
from polypool.core.ask import Await, Read
from polypool.core.error import PolypoolError, ResultUnknown, TaskError
from polypool.core.event import Record
from polypool.core.gather import reference_in
from polypool.core.join import Many
from polypool.core.lifecycle import State
from polypool.outlet import Outlet
from polypool.progress_bar import Meter
from polypool.results.lineage import count_of
from polypool.results.result import all_ended_now, ending_now, opened, unknown, wait_for_ending
from polypool.results.watching import PATIENCE

WINDOW = 1_000
"""Tasks asked about at a time: what bounds memory and the size of one answer."""
ERRORS_KEPT = 100
"""Of those that did not succeed; the rest are counted."""

RaiseErrors = bool | Literal["all"]


class Members:
    """Of one group; remembers how many there are and which are known to have ended."""

    __slots__ = ("_ended", "id", "known")

    def __init__(self, id: str, count: int | None) -> None:
        self.id = id
        self.known = count
        """How many; None before somebody asked."""
        self._ended: bytearray | None = None

    def count(self) -> Conversation[int]:
        """How many. ResultUnknown where nobody wrote that down."""
        if self.known is None:
            self.known = yield from count_of(self.id)
            if self.known is None:
                raise _uncounted(self.id)
        return self.known

    def ids(self, indexes: Sequence[int]) -> list[str]:
        return [f"{self.id}-{index}" for index in indexes]

    def completed(self) -> Conversation[int]:
        """How many have ended. Nobody asks twice about one that had, or about any once the group has a result."""
        count = yield from self.count()
        if self._ended is None:
            self._ended = bytearray(count)
        ended = self._ended
        if count - ended.count(1) > WINDOW and (yield from self._is_gathered(count)):
            ended[:] = b"\1" * count
        for window in _windows(ended):
            for index, record in zip(window, (yield Read(self.ids(window))), strict=True):
                ended[index] = record is not None and record.state.is_final
        return ended.count(1)

    def _is_gathered(self, count: int) -> Conversation[bool]:
        record: Record | None
        (record,) = yield Read([self.id])
        if record is None or record.state is not State.SUCCEEDED:
            return False
        return reference_in(record.value or b"") == Many(self.id, count)


class Turn:
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


class Waiting:
    """The first tasks that have not ended, as far as one ask reaches."""

    def __init__(self, count: int) -> None:
        self.indexes: list[int] = []
        self._rest = iter(range(count))
        self._left = count

    def __bool__(self) -> bool:
        return self._left > 0

    @property
    def first(self) -> int:
        """All before it have ended."""
        self.refill()
        return self.indexes[0]

    def refill(self) -> None:
        while len(self.indexes) < WINDOW and (index := next(self._rest, None)) is not None:
            self.indexes.append(index)

    def remove(self, ended: set[int]) -> None:
        self.indexes = [index for index in self.indexes if index not in ended]
        self._left -= len(ended)


class Harvest:
    """What the members gave, whichever ends first."""

    def __init__(self, id: str, count: int, raise_errors: RaiseErrors) -> None:
        self._id = id
        self._count = count
        self._mode = raise_errors
        self._values: list[Any] = [None] * count
        self._errors: list[tuple[int, Exception]] = []
        self._failed = 0

    def add(self, index: int, value: Any, error: Exception | None) -> None:
        if error is None or self._mode is False:
            if not self._errors:
                self._values[index] = value if error is None else error
            return
        if not self._errors:
            self._values = []  # nobody will see them any more
        self._failed += 1
        if self._mode is True:
            self._errors = [min((*self._errors, (index, error)), key=lambda one: one[0])]
        elif len(self._errors) < ERRORS_KEPT:
            self._errors.append((index, error))

    def raise_the_first(self, before: int) -> None:
        """Where one of those before this index did not succeed: no earlier one can come."""
        if self._mode is True and self._errors and self._errors[0][0] < before:
            raise self._errors[0][1]

    def values(self) -> list[Any]:
        """All of them, in order. ExceptionGroup where all errors are wanted."""
        if not self._errors:
            return self._values
        for index, error in sorted(self._errors, key=lambda one: one[0]):
            error.add_note(f"polypool: member {index:,} of group {self._id}, counted from 0")
        text = f"{self._failed:,} of the {self._count:,} members of group {self._id} did not succeed"
        if self._failed > len(self._errors):
            text += f"; here are {len(self._errors):,} of them. raise_errors=False returns each in its place"
        raise ExceptionGroup(text, [error for _, error in sorted(self._errors, key=lambda one: one[0])])


class Wanted:
    """How all values of a group are asked for: by when (monotonic seconds), with which errors, and under which bar."""

    __slots__ = ("deadline", "may_wait", "meter", "raise_errors")

    def __init__(
        self, timeout: float | None, raise_errors: RaiseErrors, meter: Meter | None, may_wait: bool = True
    ) -> None:
        self.deadline = deadline_after(timeout)
        self.raise_errors = raise_errors
        self.meter = meter
        self.may_wait = may_wait


def collect(members: Members, wanted: Wanted, outlet: Outlet) -> Conversation[list[Any]]:
    """The values of all, in order; or how they ended, as it is wanted."""
    count = yield from members.count()
    harvest = Harvest(members.id, count, wanted.raise_errors)
    if wanted.meter is None:
        turn = Turn(count)
        while turn:
            place = turn.next
            for index, record in enumerate((yield from next_in_order(members, turn, wanted)), place):
                harvest.add(index, *(yield from value_or_error(record, outlet)))
                harvest.raise_the_first(index + 1)
        return harvest.values()
    with wanted.meter as meter:
        waiting = Waiting(count)
        while waiting:
            records = yield from some_ended(members, waiting, wanted)
            for record in records:
                harvest.add(index_of(record), *(yield from value_or_error(record, outlet)))
            meter.advance(len(records))
            harvest.raise_the_first(waiting.first if waiting else count)
    return harvest.values()


def next_in_order(members: Members, turn: Turn, wanted: Wanted) -> Conversation[list[Record]]:
    """The records that come next in order, at least one, waiting for it."""
    records = yield Read(members.ids(turn.indexes()))
    ended = _ended_prefix(records)
    if not ended:
        (first,) = members.ids([turn.next])
        left = None if wanted.deadline is None else max(wanted.deadline - time.monotonic(), 0.0)
        ended = [(yield from wait_for_ending(first, left) if wanted.may_wait else ending_now(first))]
    turn.advance(len(ended))
    return ended


def some_ended(members: Members, waiting: Waiting, wanted: Wanted) -> Conversation[list[Record]]:
    """Records of some that have ended, at least one, waiting for it."""
    while True:
        waiting.refill()
        ids = members.ids(waiting.indexes)
        if not wanted.may_wait:
            yield from all_ended_now(ids)
        left = PATIENCE if wanted.deadline is None else max(wanted.deadline - time.monotonic(), 0.0)
        ended: list[Record] = yield Await(ids, min(left, PATIENCE))
        if ended:
            waiting.remove({index_of(record) for record in ended})
            return ended
        for id, record in zip(ids, (yield Read(ids)), strict=True):
            if record is None:
                raise unknown(id)
        if wanted.deadline is not None and time.monotonic() >= wanted.deadline:
            raise TimeoutError(f"group {members.id}: no more of its {members.known} tasks have ended in time")


def value_or_error(record: Record, outlet: Outlet) -> Conversation[tuple[Any, PolypoolError | None]]:
    """What a member gave, or how it ended."""
    try:
        return (yield from opened(record, outlet)), None
    except PolypoolError as error:
        if isinstance(error, TaskError) or record.state is not State.SUCCEEDED:
            return None, error
        raise  # not the member's ending: the engine's


def index_of(record: Record) -> int:
    """The member's index, which its id ends with."""
    return int(record.id.rpartition("-")[2])


def deadline_after(timeout: float | None) -> float | None:
    return None if timeout is None else time.monotonic() + timeout


def _windows(ended: bytearray) -> Iterator[list[int]]:
    """The indexes of those that had not ended, a window full at a time."""
    window: list[int] = []
    index = ended.find(0)
    while index >= 0:
        window.append(index)
        if len(window) == WINDOW:
            yield window
            window = []
        index = ended.find(0, index + 1)
    if window:
        yield window


def _ended_prefix(records: Sequence[Record | None]) -> list[Record]:
    ended: list[Record] = []
    for record in records:
        if record is None or not record.state.is_final:
            break
        ended.append(record)
    return ended


def _uncounted(id: str) -> ResultUnknown:
    return ResultUnknown(
        f"nobody wrote down how many tasks the group {id} has: its workflow's plan is no longer kept, its sender has "
        f"not come to the end, or it was sent by map or send_many, which keep no plan. Say it: "
        f"app.group_result({id!r}, count)",
        task_id=id,
    )
