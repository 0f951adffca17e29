"""Where a step stands in its workflow, from its id alone: asks for the plan that was sent with the workflow."""

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from polypool.canvas.part import Part, Way, possible_roots, returned, way_to, whole_plan
from polypool.canvas.shape import Bulk, Group
from polypool.conversation import Conversation
from polypool.core.ask import Find, Read
from polypool.core.event import Record
from polypool.core.gather import reference_in
from polypool.core.join import Many
from polypool.core.report import Search, TaskView


class Place(NamedTuple):
    """A step's place. `ways` lead there: from the workflow, and from each one that a run on the way returned."""

    workflow: TaskView
    ways: tuple[Way, ...]

    @property
    def root(self) -> Part:
        return self.ways[0].parts[0]

    @property
    def part(self) -> Part:
        """The largest part that ends in this step."""
        return self.ways[-1].part


@dataclass(frozen=True, slots=True)
class Relative:
    """A step, or a group of so many; None: the plan does not know how many."""

    id: str
    is_group: bool = False
    count: int | None = None


def views_of(ids: list[str]) -> Conversation[dict[str, TaskView]]:
    """These messages as far as they are known."""
    found: list[TaskView] = yield Find(Search(ids=tuple(ids), limit=len(ids)))
    return {view.id: view for view in found}


def find_place(id: str) -> Conversation[Place | None]:
    """None for what belongs to no workflow, or to one whose plan is no longer kept."""
    return place_in(id, (yield from views_of(possible_roots(id))))


def place_in(id: str, views: dict[str, TaskView]) -> Place | None:
    """The same, where the messages of its `possible_roots` are known already."""
    for root in possible_roots(id):
        flow = views[root].flow if root in views else None
        if flow is None or flow.plan is None:
            continue
        way = way_to(whole_plan(root, flow.plan), id)
        if way is not None and (ways := _go_on(way, id, views)) is not None:
            return Place(views[root], ways)
    return None


def _go_on(way: Way, id: str, views: dict[str, TaskView]) -> tuple[Way, ...] | None:
    """On to the step, through the workflows that runs have returned."""
    ways = [way]
    while (step := ways[-1].step.id) != id:
        flow = views[step].flow if step in views else None
        further = way_to(returned(step, flow.replacement), id) if flow is not None and flow.replacement else None
        if further is None:
            return None
        ways.append(further)
    return tuple(ways)


def parent_of(id: str) -> Conversation[Relative | None]:
    """What this step waited for: the step before it, or the group. None for the first one, and outside of workflows."""
    place = yield from find_place(id)
    if place is None:
        return None
    for way in reversed(place.ways):
        before = _before(way.parts)
        if before is not None:
            return before
        if way is not place.ways[0]:
            return Relative(way.parts[0].id.removesuffix("~"))
    return None


def children_of(id: str) -> Conversation[list[Relative]]:
    """What waits for this step's result, its callbacks, the members of a group, and the workflow that its run
    returned."""
    place = yield from find_place(id)
    views = yield from views_of([id])
    found: list[Relative] = []
    if place is not None:
        way = place.ways[-1].parts
        found += _within(way[-1])
        found += _behind(way)
    flow = views[id].flow if id in views else None
    if flow is not None and flow.replacement:
        found.append(_ended(returned(id, flow.replacement)))
    return found


def count_of(id: str) -> Conversation[int | None]:
    """How many members the group of this id has; None where nobody has written that down (yet)."""
    place = yield from find_place(id)
    if place is None or not place.part.end.is_group:
        return None
    count: int | None = yield from counted(place.part.end)
    return count


def counted(group: Part) -> Conversation[int | None]:
    """How many members a group has. That of one that was read lazily is known once its sender has come to the end."""
    if group.count is not None:
        return group.count
    record: Record | None
    (record,) = yield Read([group.whole])
    ref = reference_in(record.value) if record is not None and record.value else None
    if isinstance(ref, Many):
        return ref.count
    views = yield from views_of([group.whole])
    flow = views[group.whole].flow if group.whole in views else None
    refs = [one.ref for one in flow.inputs] if flow is not None else []
    return next((ref.count for ref in refs if isinstance(ref, Many)), None)


def _before(way: tuple[Part, ...]) -> Relative | None:
    """What the last of these parts waited for."""
    for outer, inner in reversed(list(pairwise(way))):
        if inner.id.startswith(f"{outer.id}!"):
            return _ended(outer)
        if isinstance(outer.shape, Group):
            if inner.after:
                return next((_ended(part) for part in outer.members() if part.name == inner.after[0]), None)
        elif not isinstance(outer.shape, Bulk):
            elements = outer.elements()
            index = elements.index(inner)
            if index > 0:
                return _ended(elements[index - 1])
    return None


def _behind(way: tuple[Part, ...]) -> list[Relative]:
    """What waits for the last of these parts."""
    found = [_begun(callback) for _, callback in _outermost(way).callbacks()]
    for outer, inner in reversed(list(pairwise(way))):
        if inner.id.startswith(f"{outer.id}!"):
            break
        if isinstance(outer.shape, Group):
            if inner.name is not None:
                found += [_begun(member) for member in outer.members() if inner.name in member.after]
        elif not isinstance(outer.shape, Bulk):
            elements = outer.elements()
            index = elements.index(inner)
            if index + 1 < len(elements):
                return [*found, _begun(elements[index + 1])]
    return found


def _outermost(way: tuple[Part, ...]) -> Part:
    return next(part for part in way if part.id == way[-1].id)


def _within(part: Part) -> list[Relative]:
    return [_ended(part)] if part.is_group else []


def _ended(part: Part) -> Relative:
    """What holds the result of this part."""
    last = part.end
    return Relative(last.id, last.is_group, last.count)


def _begun(part: Part) -> Relative:
    """What this part begins with."""
    while elements := part.elements():
        part = elements[0]
    return _ended(part)
