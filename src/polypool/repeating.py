"""Sending a workflow again from its plan: from the failed step on, or all of it."""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import NamedTuple

from polypool.canvas.compile import Ground, compile
from polypool.canvas.part import Part, step_ids
from polypool.canvas.reuse import Reuse, taken_over
from polypool.core.ask import Put, Read
from polypool.core.error import EngineError, NotRepeatable
from polypool.core.event import Record
from polypool.core.gather import WINDOW
from polypool.core.join import Ref
from polypool.core.lifecycle import State
from polypool.lineage import Place, counted, find_place, views_of
from polypool.outlet import Conversation
from polypool.result import unknown


class Repeated(NamedTuple):
    """A workflow that was sent again, and how many steps of the old one it goes on with, has to run, and has to run
    only because their results are no longer kept."""

    id: str
    reused: int
    run: int
    gone: int


def retry(id: str, new_id: str, now: float) -> Conversation[Repeated]:
    """Send a failed or cancelled workflow again as a new one, without the steps that succeeded. NotRepeatable."""
    place = yield from _workflow(id, "retried")
    states = yield from _states(place.root)
    if states.get(id) is State.SUCCEEDED:
        raise NotRepeatable(
            f"workflow {id} succeeded: no step of it failed, so there is nothing to retry. To run all of it again: "
            f"app.workflow({id!r}).replay()"
        )
    reuse = taken_over(place.root, new_id, states)
    _expect_members(place.root, reuse.refs, new_id, "retried")
    return (yield from _send(place, new_id, now, reuse))


def replay(id: str, new_id: str, now: float) -> Conversation[Repeated]:
    """Send an ended workflow again as a new one, all of it. NotRepeatable."""
    place = yield from _workflow(id, "replayed")
    yield from _states(place.root)
    _expect_members(place.root, {}, new_id, "replayed")
    return (yield from _send(place, new_id, now, Reuse({}, 0, 0)))


def _send(place: Place, new_id: str, now: float, reuse: Reuse) -> Conversation[Repeated]:
    ground = Ground(now, place.workflow.priority)
    messages = compile(place.root.shape, new_id, ground, reuse=reuse.refs).messages
    left = iter(messages)
    sent = 0
    try:
        while batch := list(islice(left, WINDOW)):
            yield Put(batch)
            sent += len(batch)
    except EngineError as error:
        if sent:
            error.add_note(
                f"polypool: a part of workflow {new_id} was sent before this; app.result({new_id!r}).cancel() ends it"
            )
        raise
    return Repeated(new_id, reuse.steps, len(messages), reuse.gone)


def _workflow(id: str, wanted: str) -> Conversation[Place]:
    """The workflow of this id."""
    place = yield from find_place(id)
    if place is None:
        views = yield from views_of([id])
        if id not in views:
            raise unknown(id)
        raise NotRepeatable(
            f"{views[id].task} {id} is no workflow, or its plan is no longer kept, so it cannot be {wanted}: "
            "send it again where it was sent"
        )
    if place.root.id != id:
        raise NotRepeatable(
            f"{id} is a step of workflow {place.root.id}; only the whole can be {wanted}: "
            f"app.workflow({place.root.id!r})"
        )
    return place


def _states(root: Part) -> Conversation[dict[str, State]]:
    """How each step ended; without those that are not known any more. NotRepeatable where one has not ended."""
    states: dict[str, State] = {}
    steps = step_ids(root, {})
    while window := list(islice(steps, WINDOW)):
        for record in _ended(root.id, (yield Read(window))):
            states[record.id] = record.state
    for bulk in root.bulks():
        size = yield from counted(bulk)
        succeeded = 0
        for start in range(0, size or 0, WINDOW):
            records = yield Read([f"{bulk.id}-{index}" for index in range(start, min(start + WINDOW, size or 0))])
            succeeded += sum(record.state is State.SUCCEEDED for record in _ended(root.id, records))
        states[bulk.whole] = State.SUCCEEDED if succeeded == size else State.FAILED
    return states


def _ended(id: str, records: list[Record | None]) -> list[Record]:
    known = [record for record in records if record is not None]
    for record in known:
        if not record.state.is_final:
            raise _goes_on(id, record)
    return known


def _goes_on(id: str, record: Record) -> NotRepeatable:
    return NotRepeatable(
        f"workflow {id} has not ended: {record.task} {record.id} is {record.state}. Wait until all of its steps have "
        f"ended, or end them with app.result({id!r}).cancel(), and try again"
    )


def _expect_members(root: Part, refs: Mapping[str, Ref], new_id: str, wanted: str) -> None:
    """What was read lazily while it was sent is in no plan: its values may be reused, but it cannot be sent again."""
    lacking: Iterable[Part] = (bulk for bulk in root.bulks() if new_id + bulk.id[len(root.id) :] not in refs)
    for bulk in lacking:
        raise NotRepeatable(
            f"workflow {root.id} cannot be {wanted}: the members of its group {bulk.id} came from a generator and are "
            "not kept. Send it again where it was composed, from its source; with a task_id= of your own, as in "
            f".apply_async(task_id={root.id + '-again'!r}), sending that twice is safe too"
        )
