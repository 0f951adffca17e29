"""Looking at a whole workflow: its plan, and the records of its steps, read in windows, as a tree."""

from collections.abc import Iterator, Sequence
from itertools import count, islice

from polypool.canvas.node import Fold, Tree
from polypool.canvas.part import Part, returned
from polypool.canvas.shape import Call
from polypool.canvas.tree import Known, Times, tree
from polypool.conversation import Conversation
from polypool.core.ask import Read
from polypool.core.event import Record
from polypool.core.gather import WINDOW
from polypool.core.lifecycle import State
from polypool.core.report import TaskView
from polypool.results.lineage import Place, counted, find_place, parent_of, views_of
from polypool.results.result import unknown

MEMBERS = 10
"""Of a group are shown one by one; of a larger one only those that tell most."""
MOST_NAMED = 1_000
"""Members that wait for each other are shown one by one up to here: who waits for whom is what one wants to see."""
DEEPEST = 50
"""Workflows that were returned by steps of a returned workflow, one in the other, that are looked into."""


def survey(id: str, now: float, members: int = MEMBERS) -> Conversation[Tree]:
    """What became of a workflow, of a part of it or of one task. ResultUnknown."""
    place = yield from find_place(id)
    if place is None:
        views = yield from views_of([id])
        if id not in views:
            raise unknown(id)
        look = Look(members)
        yield from look.at(Part(id, Call(views[id].task, b"")))
        return tree(id, Part(id, Call(views[id].task, b"")), look.known, look.folds, Times(views[id].sent_at, now))
    look = Look(members, place.root.id, (yield from _earlier(place.workflow)))
    yield from look.at(place.part)
    times = Times(place.workflow.sent_at, now, (yield from _ready(place)))
    return tree(place.workflow.id, place.part, look.known, look.folds, times)


class Look:
    """Reads what is known of the steps of a part; holds a window of records at a time of a group that is folded."""

    def __init__(self, members: int, workflow: str = "", earlier: Sequence[str] = ()) -> None:
        self.known: dict[str, Known] = {}
        self.folds: dict[str, Fold] = {}
        self._members = members
        self._workflow = workflow
        self._earlier = earlier
        self._large: list[Part] = []

    def at(self, part: Part) -> Conversation[None]:
        """This part, and all that its runs were replaced by."""
        parts = [part]
        for _ in range(DEEPEST):
            further = yield from self._read(parts)
            for group in self._taken():
                further += yield from self._fold(group)
            if not further:
                return
            parts = further

    def _taken(self) -> list[Part]:
        large, self._large = self._large, []
        return large

    def _read(self, parts: list[Part]) -> Conversation[list[Part]]:
        """Their steps; returns the workflows that these were replaced by."""
        ids = (id for part in parts for id in self._ids(part))
        replaced: list[Part] = []
        while window := list(islice(ids, WINDOW)):
            records, taken = yield from self._records(window)
            views = yield from views_of(window)
            for id, record in zip(window, records, strict=True):
                view = views.get(id)
                flow = view.flow if view is not None else None
                part = returned(id, flow.replacement) if flow is not None and flow.replacement else None
                self.known[id] = Known(record, view, part, taken.get(id))
                if part is not None:
                    replaced.append(part)
        return replaced

    def _records(self, ids: list[str]) -> Conversation[tuple[list[Record | None], dict[str, str]]]:
        """What is known of these steps, and the ids of those that were taken over from an earlier workflow."""
        records: list[Record | None] = list((yield Read(ids)))
        taken: dict[str, str] = {}
        for workflow in self._earlier:
            lacking = [place for place, record in enumerate(records) if record is None and "!" not in ids[place]]
            if not lacking:
                break
            named = [workflow + ids[place][len(self._workflow) :] for place in lacking]
            for place, record in zip(lacking, (yield Read(named)), strict=True):
                if record is not None and record.state is State.SUCCEEDED:
                    records[place], taken[ids[place]] = record, record.id
        return records, taken

    def _ids(self, part: Part) -> Iterator[str]:
        yield part.id
        for _, callback in part.callbacks():
            yield from self._ids(callback)
        yield from self._ids_within(part)

    def _ids_within(self, part: Part) -> Iterator[str]:
        if part.is_group:
            if self._is_large(part):
                self._large.append(part)
                return
            for member in part.members():
                yield from self._ids(member)
        elif elements := part.elements():
            for element in elements[:-1]:
                yield from self._ids(element)
            yield from self._ids_within(elements[-1])

    def _is_large(self, group: Part) -> bool:
        if group.count is None or group.count > MOST_NAMED:
            return True
        return group.count > self._members and not any(member.after for member in group.members())

    def _fold(self, group: Part) -> Conversation[list[Part]]:
        """Every member's record, a window at a time; returns the members that are to be seen."""
        fold = self.folds[group.id] = Fold()
        size = yield from counted(group)
        for start in count(0, WINDOW):
            stop = start + WINDOW if size is None else min(start + WINDOW, size)
            if start >= stop:
                break
            records, _ = yield from self._records([f"{group.id}-{index}" for index in range(start, stop)])
            if size is None and not any(records):
                break
            for index, record in enumerate(records, start):
                if record is not None or size is not None:
                    _add(fold, index, record)
        return [group.member(index) for index in fold.picks()]


def _earlier(workflow: TaskView) -> Conversation[list[str]]:
    """The workflows that this one is the retry of, the latest first."""
    found: list[str] = []
    flow = workflow.flow
    while flow is not None and (id := flow.goes_on_from) is not None and id not in found:
        found.append(id)
        views = yield from views_of([id])
        flow = views[id].flow if id in views else None
    return found


def _add(fold: Fold, index: int, record: Record | None) -> None:
    if record is None:
        fold.add(index, None, None, None, failed_itself=False)
        return
    wall = record.usage.wall if record.usage is not None else None
    fold.add(index, record.state, wall, record.ended_at, failed_itself=record.state is State.FAILED)


def _ready(place: Place) -> Conversation[float | None]:
    """Since when a part of a workflow could run; None for the whole."""
    if place.part == place.root:
        return None
    before = yield from parent_of(_first(place.part).id)
    if before is None:
        return None
    record: Record | None
    (record,) = yield Read([before.id])
    return record.ended_at if record is not None else None


def _first(part: Part) -> Part:
    while elements := part.elements():
        part = elements[0]
    return part
