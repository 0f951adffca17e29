"""Sending a workflow again from its plan: from the failed step on, or all of it."""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import NamedTuple

import msgspec

from polypool.canvas.compile import Ground, compile
from polypool.canvas.part import Part, step_ids
from polypool.canvas.reuse import Reuse, taken_over
from polypool.conversation import Conversation
from polypool.core.ask import Put, Read
from polypool.core.error import EngineError, NotRepeatable
from polypool.core.event import Record
from polypool.core.gather import WINDOW
from polypool.core.join import Flow, Ref
from polypool.core.lifecycle import State
from polypool.core.message import Message
from polypool.core.report import TaskView
from polypool.results.lineage import Place, counted, find_place, views_of
from polypool.results.result import unknown


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
    history = _History(place.root)
    yield from history.read(place.workflow)
    if history.states.get(id) is State.SUCCEEDED:
        raise NotRepeatable(
            f"workflow {id} succeeded: no step of it failed, so there is nothing to retry. To run all of it again: "
            f"app.workflow({id!r}).replay()"
        )
    reuse = taken_over(place.root, new_id, history.states, history.where)
    _expect_members(place.root, reuse.refs, new_id, "retried")
    return (yield from _send(place, new_id, now, reuse))


def replay(id: str, new_id: str, now: float) -> Conversation[Repeated]:
    """Send an ended workflow again as a new one, all of it. NotRepeatable."""
    place = yield from _workflow(id, "replayed")
    yield from _History(place.root).read(place.workflow)
    _expect_members(place.root, {}, new_id, "replayed")
    return (yield from _send(place, new_id, now, Reuse({}, 0, 0)))


def _send(place: Place, new_id: str, now: float, reuse: Reuse) -> Conversation[Repeated]:
    ground = Ground(now, place.workflow.priority)
    messages = compile(place.root.shape, new_id, ground, reuse=reuse.refs).messages
    if reuse.refs:
        messages = [_going_on(message, place.root.id) if message.id == new_id else message for message in messages]
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


def _going_on(end: Message, earlier: str) -> Message:
    flow = msgspec.structs.replace(end.flow or Flow(), goes_on_from=earlier)
    return msgspec.structs.replace(end, flow=flow)


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


class _History:
    """How the steps of a workflow ended: in it, or in the one that it was itself the retry of."""

    def __init__(self, root: Part) -> None:
        self.states: dict[str, State] = {}
        """Without those that are not known any more."""
        self.where: dict[str, str] = {}
        """The ids of those that were taken over."""
        self._root = root
        self._checked: set[str] = set()

    def read(self, workflow: TaskView) -> Conversation[None]:
        """NotRepeatable where a step has not ended."""
        id, flow = workflow.id, workflow.flow
        while True:
            yield from self._steps(id)
            yield from self._bulks(id)
            earlier = flow.goes_on_from if flow is not None else None
            if earlier is None:
                return
            views = yield from views_of([earlier])
            id, flow = earlier, (views[earlier].flow if earlier in views else None)

    def _steps(self, id: str) -> Conversation[None]:
        lacking = (step for step in step_ids(self._root, {}) if step not in self.states)
        while window := list(islice(lacking, WINDOW)):
            records: list[Record | None] = yield Read([self._named(step, id) for step in window])
            _expect_ended(self._root.id, records)
            for step, record in zip(window, records, strict=True):
                if record is not None:
                    self._note(step, record.state, id)

    def _bulks(self, id: str) -> Conversation[None]:
        for bulk in self._root.bulks():
            if self.states.get(bulk.whole) is State.SUCCEEDED and bulk.whole in self._checked:
                continue
            group = Part(self._named(bulk.id, id), bulk.shape)
            size = yield from counted(group)
            succeeded = 0
            for start in range(0, size or 0, WINDOW):
                stop = min(start + WINDOW, size or 0)
                records: list[Record | None] = yield Read([f"{group.id}-{index}" for index in range(start, stop)])
                _expect_ended(self._root.id, records)
                succeeded += sum(record is not None and record.state is State.SUCCEEDED for record in records)
            if size is not None and succeeded == size:
                self._note(bulk.whole, State.SUCCEEDED, id)
                self._checked.add(bulk.whole)
            else:
                self.states[bulk.whole] = State.FAILED

    def _named(self, step: str, id: str) -> str:
        return id + step[len(self._root.id) :]

    def _note(self, step: str, state: State, id: str) -> None:
        self.states[step] = state
        if id != self._root.id:
            self.where[step] = self._named(step, id)


def _expect_ended(id: str, records: Iterable[Record | None]) -> None:
    for record in records:
        if record is not None and not record.state.is_final:
            raise _goes_on(id, record)


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
