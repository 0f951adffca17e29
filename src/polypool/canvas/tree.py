"""Tree: a workflow's plan and what is known of its steps, as nodes with states, times and where the time went. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import msgspec

from polypool.canvas.node import Fold, Node, Role, Tree
from polypool.canvas.part import Part
from polypool.canvas.shape import Bulk, Call
from polypool.core.event import Record
from polypool.core.lifecycle import State
from polypool.core.report import TaskView


@dataclass(frozen=True, slots=True)
class Known:
    """What an engine knows of one step. `returned`: the workflow that its run returned."""

    record: Record | None = None
    view: TaskView | None = None
    returned: Part | None = None
    taken_from: str | None = None
    """The record is an earlier workflow's, of which this one is the retry."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A step on the longest way, and the seconds that it waited for its time first."""

    node: Node
    waiting: float = 0.0


@dataclass(frozen=True, slots=True)
class Built:
    """A node, and the longest way through it."""

    node: Node
    path: tuple[Stretch, ...]


class Times(NamedTuple):
    """When the workflow was sent, when it is looked at, and when the part looked at was ready (None: when sent)."""

    sent: float | None
    now: float
    ready: float | None = None


def tree(workflow: str, part: Part, known: Mapping[str, Known], folds: Mapping[str, Fold], times: Times) -> Tree:
    """What became of a workflow, or of a part of it. `known` has its steps, but for members of the groups that `folds`
    has."""
    start = times.sent if times.ready is None else times.ready
    built = _Builder(known, folds, times.now).part(part, start, "step")
    end = built.node.ended
    return Tree(
        workflow=workflow,
        at=times.now,
        sent=times.sent,
        root=built.node,
        path=tuple(one.node.id for one in built.path),
        queued=sum(one.node.queued or 0.0 for one in built.path),
        running=sum(one.node.running or 0.0 for one in built.path),
        waiting=sum(one.waiting for one in built.path),
        total=None if start is None else max((times.now if end is None else end) - start, 0.0),
    )


class _Builder:
    def __init__(self, known: Mapping[str, Known], folds: Mapping[str, Fold], now: float) -> None:
        self._known = known
        self._folds = folds
        self._now = now

    def part(self, part: Part, ready: float | None, role: Role) -> Built:
        """A part with its callbacks; `ready`: when what it waits for had ended."""
        built = self._without_callbacks(part, ready)
        called = [
            self.part(callback, built.node.ended, when)
            for when, callback in part.callbacks()
            if when != "flow" and self._at(callback.id).record is not None
        ]
        children = (*built.node.children, *(one.node for one in called))
        node = msgspec.structs.replace(built.node, role=role, name=part.name, children=children)
        return replace(built, node=node)

    def _without_callbacks(self, part: Part, ready: float | None) -> Built:
        if isinstance(part.shape, Call):
            return self._task(part, part.shape, ready)
        return self._group(part, ready) if part.is_group else self._chain(part, ready)

    def _at(self, id: str) -> Known:
        return self._known.get(id, _NOTHING)

    def _task(self, part: Part, call: Call, since: float | None) -> Built:
        known = self._at(part.id)
        record, view = known.record, known.view
        if record is not None and known.taken_from is not None:
            taken = Node(id=part.id, kind="task", task=record.task, state=record.state, taken_from=known.taken_from)
            return Built(taken, ())
        ready = _due(call, since)
        node = Node(
            id=part.id,
            kind="task",
            task=record.task if record is not None else call.task,
            state="unknown" if record is None else record.state,
            ready=ready,
            run=1 if view is None else view.attempt,
        )
        if record is not None and record.state is State.QUEUED and ready is not None:
            node = msgspec.structs.replace(node, queued=max(self._now - ready, 0.0))
        if record is not None and record.state.is_final:
            node = _ended(node, record)
        waiting = max((ready or 0.0) - (since or 0.0), 0.0) if ready is not None and since is not None else 0.0
        path: tuple[Stretch, ...] = (Stretch(node, waiting),)
        if known.returned is not None:
            sent = self._at(known.returned.id).view
            inner = self.part(known.returned, None if sent is None else sent.sent_at, "returned")
            node = msgspec.structs.replace(node, children=(inner.node,), work=_work([inner.node, node]))
            path = (Stretch(node, waiting), *inner.path)
        return Built(node, path)

    def _chain(self, part: Part, ready: float | None) -> Built:
        built: list[Built] = []
        at = ready
        *before, last = part.elements()
        for element in before:
            built.append(self.part(element, at, "step"))
            node = built[-1].node
            if node.state != "unknown" and not (node.ended is None and node.state is State.SUCCEEDED):
                at = node.ended
        built.append(self._last(last, at))
        nodes = [one.node for one in built]
        node = Node(
            id=part.id,
            kind="chain",
            state=nodes[-1].state if _is_final(nodes[-1]) else _state_of(nodes),
            ready=nodes[0].ready,
            started=_least(one.started for one in nodes),
            ended=nodes[-1].ended,
            error=nodes[-1].error,
            because=nodes[-1].because,
            work=_work(nodes),
            children=tuple(nodes),
        )
        return _along(node, tuple(stretch for one in built for stretch in one.path))

    def _last(self, part: Part, ready: float | None) -> Built:
        """The last step; its callbacks are the whole chain's."""
        built = self._without_callbacks(part, ready)
        return replace(built, node=msgspec.structs.replace(built.node, name=part.name))

    def _group(self, part: Part, ready: float | None) -> Built:
        fold = self._folds.get(part.id)
        if fold is None:
            built = self._members(part, ready)
            counts: dict[str, int] = {}
            for one in built:
                counts[one.node.state] = counts.get(one.node.state, 0) + 1
            count, work = part.count, _work([one.node for one in built])
        else:
            built = [self._picked(part.member(index), ready, why) for index, why in fold.picks().items()]
            count, counts, work = fold.count, fold.counts, fold.work
        nodes = [one.node for one in built]
        record = self._at(part.id).record
        is_over = record is not None and record.state.is_final
        state = record.state if record is not None and is_over else _state_of_group(counts)
        gathered = record.ended_at if record is not None and is_over else None
        latest = max((one.ended for one in nodes if one.ended is not None), default=None)
        is_final = state != "unknown" and State(state).is_final
        node = Node(
            id=part.id,
            kind="group",
            task=part.shape.task if isinstance(part.shape, Bulk) and part.shape.member is None else None,
            state=state,
            ready=ready,
            started=_least(one.started for one in nodes),
            ended=(gathered or latest) if is_final else None,
            because=_because(record) if record is not None else None,
            count=count,
            counts=counts,
            work=work,
            is_folded=fold is not None,
            children=tuple(nodes),
        )
        return _along(node, _longest(built))

    def _picked(self, member: Part, ready: float | None, why: tuple[str, ...]) -> Built:
        built = self.part(member, ready, "member")
        return replace(built, node=msgspec.structs.replace(built.node, stands_out=why))

    def _members(self, part: Part, ready: float | None) -> list[Built]:
        """In the order of their numbers; those that wait for others have their way behind those others' ways."""
        members = list(part.members())
        built: dict[str, Built] = {}
        named = {member.name: member for member in members if member.name is not None}
        waiting = members
        while waiting:
            still: list[Part] = []
            for member in waiting:
                before = [built.get(named[name].id) for name in member.after if name in named]
                if None in before:
                    still.append(member)
                    continue
                built[member.id] = self._behind(member, [one for one in before if one is not None], ready)
            if len(still) == len(waiting):
                break  # no composition has a circle: this plan is damaged
            waiting = still
        return [built[member.id] for member in members if member.id in built]

    def _behind(self, member: Part, before: Sequence[Built], ready: float | None) -> Built:
        if not before:
            return self.part(member, ready, "member")
        ends = [one.node.ended for one in before]
        latest = None if None in ends else max(end for end in ends if end is not None)
        own = self.part(member, latest, "member")
        return replace(own, path=(*_longest(before), *own.path))


_NOTHING = Known()


def _due(call: Call, since: float | None) -> float | None:
    """From when on it may run."""
    if since is None:
        return None
    return max(since, call.due) if call.due is not None else since + call.countdown


def _ended(node: Node, record: Record) -> Node:
    because = _because(record)
    failure, usage = record.failure, record.usage
    error = None
    if failure is not None and because is None and record.state is State.FAILED:
        kind = failure.type.removeprefix("builtins.").removeprefix("polypool.core.error.")
        error = f"{kind}: {failure.message}".partition("\n")[0]
    node = msgspec.structs.replace(node, ended=record.ended_at, error=error, because=because)
    if usage is None:
        return node
    queued = None if node.ready is None else max(usage.started_at - node.ready, 0.0)
    return msgspec.structs.replace(node, started=usage.started_at, running=usage.wall, work=usage.wall, queued=queued)


def _because(record: Record) -> str | None:
    failure = record.failure
    if failure is None or failure.origin is None or failure.origin.id == record.id:
        return None
    return failure.origin.id


def _along(node: Node, path: tuple[Stretch, ...]) -> Built:
    queued = sum(one.node.queued or 0.0 for one in path)
    running = sum(one.node.running or 0.0 for one in path)
    return Built(msgspec.structs.replace(node, queued=queued, running=running), path)


def _longest(built: Sequence[Built]) -> tuple[Stretch, ...]:
    """The way through the first that failed, else the one that has not ended, or ended last."""
    failed = [one for one in built if one.node.state == State.FAILED]
    if failed:
        return min(failed, key=lambda one: one.node.ended or 0.0).path
    for state in _WAITING:
        for one in built:
            if one.node.state == state:
                return one.path
    ended = [one for one in built if one.node.ended is not None]
    return max(ended, key=lambda one: one.node.ended or 0.0).path if ended else ()


_WAITING = [State.RUNNING, State.QUEUED, State.SCHEDULED]
_WORST_FIRST = [State.FAILED, State.CANCELLED, *_WAITING, "unknown", State.SUCCEEDED]


def _state_of(nodes: Iterable[Node]) -> State:
    """Of a chain whose last step has not ended."""
    states = {node.state for node in nodes}
    return next((state for state in _WAITING if state in states), State.SCHEDULED)


def _state_of_group(counts: Mapping[str, int]) -> State:
    """Of a group that no step gathers: it failed when one did."""
    state = next((state for state in _WORST_FIRST if counts.get(state)), State.SCHEDULED)
    return State.SCHEDULED if state == "unknown" else State(state)


def _is_final(node: Node) -> bool:
    return node.state != "unknown" and State(node.state).is_final


def _least(times: Iterable[float | None]) -> float | None:
    return min((time for time in times if time is not None), default=None)


def _work(nodes: Iterable[Node]) -> float | None:
    known = [node.work for node in nodes if node.work is not None]
    return sum(known) if known else None
