"""Part: a plan with its ids, walked from the outside in. Nothing of it is made before somebody looks at it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from polypool.canvas.compile import callbacks, elements
from polypool.canvas.shape import Bulk, Call, Chain, Chord, Group, Shape, decode_plan
from polypool.core.join import When

_SIGNS = ".-~!"
_SIGN = re.compile(r"[.\-~!]")
_LONGEST_WAY = 64
"""Ends that are cut off an id in search of the workflow that it belongs to."""


@dataclass(frozen=True, slots=True)
class Part:
    """A task, chain, group or chord of a workflow, and the id of the step in which it ends."""

    id: str
    shape: Shape

    @property
    def end(self) -> "Part":
        """The last step of a chain or chord, which has the same id; of anything else itself."""
        return Part(self.id, elements(self.shape)[-1]) if isinstance(self.shape, Chain | Chord) else self

    @property
    def is_group(self) -> bool:
        return isinstance(self.shape, Group | Bulk)

    @property
    def count(self) -> int | None:
        """Of a group: how many members; None where the plan does not know."""
        if isinstance(self.shape, Group):
            return len(self.shape.members)
        return self.shape.count if isinstance(self.shape, Bulk) else None

    @property
    def name(self) -> str | None:
        """By which those beside it wait for it."""
        return None if isinstance(self.shape, Bulk) else self.shape.name

    @property
    def after(self) -> tuple[str, ...]:
        """The names of those beside it that it waits for."""
        return () if isinstance(self.shape, Bulk) else self.shape.after

    @property
    def whole(self) -> str:
        """The step that holds the list of a lazily read group's values."""
        return f"{self.id}-all"

    def elements(self) -> list["Part"]:
        """Of a chain or chord: one after the other."""
        shapes = elements(self.shape) if isinstance(self.shape, Chain | Chord) else ()
        last = len(shapes) - 1
        return [Part(self.id if index == last else f"{self.id}.{index}", shape) for index, shape in enumerate(shapes)]

    def member(self, index: int) -> "Part":
        """Of a group. IndexError."""
        if isinstance(self.shape, Group):
            return Part(f"{self.id}-{index}", self.shape.members[index])
        assert isinstance(self.shape, Bulk)
        return Part(f"{self.id}-{index}", self.shape.member or Call(self.shape.task, b""))

    def members(self, count: int | None = None) -> Iterator["Part"]:
        """Of a group; `count` where the plan does not know."""
        return map(self.member, range((self.count or 0) if count is None else count))

    def bulks(self) -> Iterator["Part"]:
        """The groups in it that were read lazily."""
        if isinstance(self.shape, Bulk):
            yield self
        for inner in (*self.elements(), *(self.members() if isinstance(self.shape, Group) else ())):
            yield from inner.bulks()

    def callbacks(self) -> list[tuple[When, "Part"]]:
        return [
            (when, Part(f"{self.id}!{number}", shape)) for number, (when, shape) in enumerate(callbacks(self.shape))
        ]


class Way(NamedTuple):
    """How one comes from a workflow to a step: each part lies in the one before; the last one is the step."""

    parts: tuple[Part, ...]

    @property
    def part(self) -> Part:
        """The largest part that ends in this step."""
        step = self.parts[-1].id
        return next(part for part in self.parts if part.id == step)

    @property
    def step(self) -> Part:
        return self.parts[-1]


def whole_plan(id: str, plan: bytes) -> Part:
    """The workflow of this id. ValueError for a plan that cannot be read."""
    return Part(id, decode_plan(plan))


def returned(step: str, replacement: bytes) -> Part:
    """The workflow that a run of this step returned."""
    return whole_plan(f"{step}~", replacement)


def possible_roots(id: str) -> list[str]:
    """Ids of workflows that a step of this id may belong to: itself, then what remains when ends are cut off."""
    cuts = [found.start() for found in _SIGN.finditer(id)][-_LONGEST_WAY:]
    return [id, *(id[:cut] for cut in reversed(cuts) if cut)]


def way_to(root: Part, id: str) -> Way | None:
    """The way to the step of this id, or to the one whose run returned the workflow that it belongs to."""
    way = [root]
    while True:
        inner = _towards(way[-1], id)
        if inner is None:
            break
        way.append(inner)
    reached = way[-1].id
    return Way(tuple(way)) if id == reached or id.startswith(f"{reached}~") else None


def _towards(part: Part, id: str) -> Part | None:
    """What lies directly in it and nearer to that id."""
    if id != part.id and id[len(part.id) : len(part.id) + 1] == "!":
        return next((one for _, one in part.callbacks() if _holds(one, id)), None)
    if part.is_group:
        found = re.match(r"-(\d+)", id[len(part.id) :])
        if found is None:
            return None
        index = int(found[1])
        is_there = part.count is None or index < part.count
        return part.member(index) if is_there else None
    return next((one for one in part.elements() if _holds(one, id)), None)


def _holds(part: Part, id: str) -> bool:
    rest = id.removeprefix(part.id)
    return id.startswith(part.id) and (not rest or rest[0] in _SIGNS)


def step_ids(part: Part, counts: Mapping[str, int]) -> Iterator[str]:
    """The id of every step in it, those that wait before those that they wait for. `counts`: how many members each
    group has whose plan does not know. Lazily: there may be millions."""
    for _, callback in part.callbacks():
        yield from step_ids(callback, counts)
    yield from _ids_within(part, counts)


def _ids_within(part: Part, counts: Mapping[str, int]) -> Iterator[str]:
    if isinstance(part.shape, Chain | Chord):
        *before, last = part.elements()
        yield from _ids_within(last, counts)  # its callbacks are those of the whole
        for one in reversed(before):
            yield from step_ids(one, counts)
        return
    yield part.id
    if isinstance(part.shape, Bulk):
        yield part.whole
        count = counts.get(part.id, part.shape.count) or 0
        if part.shape.member is None:
            yield from (f"{part.id}-{index}" for index in range(count))
        else:
            for member in part.members(count):
                yield from step_ids(member, counts)
    elif isinstance(part.shape, Group):
        for member in part.members():
            yield from step_ids(member, counts)
