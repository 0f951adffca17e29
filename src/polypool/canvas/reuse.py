"""Reuse: what a workflow that is sent again takes over from the time before. Pure."""

from collections.abc import Mapping
from typing import NamedTuple

from polypool.canvas.part import Part
from polypool.canvas.shape import Bulk, Call, Group
from polypool.core.join import One, Ref
from polypool.core.lifecycle import State


class Reuse(NamedTuple):
    """`refs`: where the values of its steps are, by their new ids. `steps`: how many tasks need not run. `gone`: how
    many must only because nothing is known of them any more."""

    refs: dict[str, Ref]
    steps: int
    gone: int


def taken_over(root: Part, new_id: str, states: Mapping[str, State], where: Mapping[str, str]) -> Reuse:
    """What the workflow takes over when it is sent again under a new id.

    `states`: how its steps ended, as far as that is known; for a group that was read lazily, how all of its members
    did, under the id of its `whole`. `where`: the ids of those that it had taken over itself.
    """
    search = _Search(root.id, new_id, states, where)
    search.into(root)
    return Reuse(search.refs, search.steps, search.gone)


class _Search:
    def __init__(self, old: str, new: str, states: Mapping[str, State], where: Mapping[str, str]) -> None:
        self.refs: dict[str, Ref] = {}
        self.steps = 0
        self.gone = 0
        self._old = old
        self._new = new
        self._states = states
        self._where = where

    def into(self, part: Part) -> None:
        """A part that did not succeed: what in it did."""
        if part.is_group:
            for member in part.members() if isinstance(part.shape, Group) else ():
                self._look(member)
            return
        elements = part.elements()
        if not elements:
            self.gone += part.id not in self._states
            return
        done = max((index for index, one in enumerate(elements) if self._is_whole(one)), default=-1)
        for index, element in enumerate(elements):
            if index < done:
                self._take(element, self._one(element.id))  # nobody reads it: what stands behind it is there
            elif index == done or index < len(elements) - 1:
                self._look(element)
            else:
                self.into(element)

    def _look(self, part: Part) -> None:
        if isinstance(part.shape, Bulk):
            if self._is_whole(part):
                self._take(part, self._one(part.whole))
        elif self._states.get(part.id) is State.SUCCEEDED:
            self._take(part, self._one(part.id))
        else:
            self.into(part)

    def _one(self, id: str) -> One:
        return One(self._where.get(id, id))

    def _take(self, part: Part, ref: Ref) -> None:
        self.refs[self._new + part.id[len(self._old) :]] = ref
        self.steps += _tasks(part)

    def _is_whole(self, part: Part) -> bool:
        """Whether its value is there."""
        if self._states.get(part.id) is State.SUCCEEDED:
            return True
        if isinstance(part.shape, Bulk):
            return self._states.get(part.whole) is State.SUCCEEDED
        if isinstance(part.shape, Group):
            return bool(part.shape.members) and all(self._is_whole(member) for member in part.members())
        return False


def _tasks(part: Part) -> int:
    """How many tasks it consists of."""
    if isinstance(part.shape, Call):
        return 1
    if isinstance(part.shape, Bulk):
        return part.shape.count or 1
    inner = part.members() if part.is_group else iter(part.elements())
    return sum(map(_tasks, inner))
