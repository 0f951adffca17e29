"""The value of a task that has succeeded, typed, also where it stands in other tasks' records: a group's value is made
of its members', and results never travel from step to step."""

from collections.abc import Sequence
from typing import Any

from polypool.conversation import Conversation
from polypool.core.ask import Read
from polypool.core.error import PolypoolError, ResultUnknown
from polypool.core.event import Record
from polypool.core.gather import WINDOW, reference_in
from polypool.core.join import Listed, Many, One, Ref
from polypool.outlet import Outlet
from polypool.results.ending import error_of


def read_value(record: Record, outlet: Outlet) -> Conversation[Any]:
    """What it returned, each part typed by the annotation of the task that it came from. PolypoolError where a part
    is not there any more."""
    while (ref := reference_in(record.value or b"")) is not None:
        if not isinstance(ref, One):
            return (yield from _read_list(ref, record.id, outlet))
        (record,) = yield from _parts([ref.id], record.id)
    return outlet.read_value(record.task, record.value)


def _read_list(ref: Many | Listed, of: str, outlet: Outlet) -> Conversation[list[Any]]:
    values: list[Any] = []
    if isinstance(ref, Many):
        for start in range(0, ref.count, WINDOW):
            values += yield from _read_each(ref.ids(start, start + WINDOW), of, outlet)
        return values
    for start in range(0, len(ref.refs), WINDOW):
        values += yield from _read_refs(ref.refs[start : start + WINDOW], of, outlet)
    return values


def _read_refs(refs: Sequence[Ref], of: str, outlet: Outlet) -> Conversation[list[Any]]:
    """Single steps, which most are, with one ask for all."""
    singles = iter((yield from _read_each([ref.id for ref in refs if isinstance(ref, One)], of, outlet)))
    values = []
    for ref in refs:
        values.append(next(singles) if isinstance(ref, One) else (yield from _read_list(ref, of, outlet)))
    return values


def _read_each(ids: list[str], of: str, outlet: Outlet) -> Conversation[list[Any]]:
    values = []
    for record in (yield from _parts(ids, of)):
        values.append((yield from read_value(record, outlet)))
    return values


def _parts(ids: list[str], of: str) -> Conversation[list[Record]]:
    """The records of these steps, all of which have succeeded."""
    if not ids:
        return []
    records: list[Record | None] = yield Read(ids)
    parts = []
    for id, record in zip(ids, records, strict=True):
        if record is None or not record.state.is_final:
            raise _gone(id, of, record)
        if (error := error_of(record)) is not None:
            raise error
        parts.append(record)
    return parts


def _gone(id: str, of: str, record: Record | None) -> PolypoolError:
    if record is not None:
        return ResultUnknown(
            f"the value of {of} is made of the values of other tasks, and one of them, {record.task} {id}, is "
            f"{record.state} again: somebody requeued it. Wait for it with app.result({id!r})",
            task_id=id,
        )
    return ResultUnknown(
        f"the value of {of} is made of the values of other tasks, and that of task {id} is no longer kept: its time "
        "to live (result_ttl) is over, or it was purged. Give the tasks of a workflow a result_ttl that is long enough "
        "for whoever reads its result",
        task_id=id,
    )
