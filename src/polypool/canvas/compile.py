"""Compile: a workflow's shape as the messages it is sent as. Pure.

Every step is a message that knows for how many others it waits and whom to tell of its ending. The id of a workflow is
that of its last step, and all others follow from it:

    chain X         its elements before the last are X.0, X.1, …, and the last one is X
    chord X         as the chain of its header and its body
    group X         its members are X-0, X-1, …, and X is the gatherer of their results, where there is one
    callbacks of X  X!0, X!1, …, those for success first

A chain that ends in a chain or a chord is one chain with it (`elements`), or two of their steps would have one id.
"""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import NamedTuple

import msgspec

from polypool.canvas.shape import Bulk, Call, Chain, Chord, Group, Shape
from polypool.canvas.step import End, Ground, Step, listed, not_needed, told
from polypool.core.codec import encode
from polypool.core.error import ConfigurationError
from polypool.core.join import OPEN, Input, Next, One, Ref, When
from polypool.core.message import Message

__all__ = ["Compiled", "Ground", "Open", "callbacks", "compile", "elements", "first_call"]


class Open(NamedTuple):
    """Members that are still to be read and sent: `<base>-0` and on, each telling `join` at the place of its number.

    Once they are, a step `whole` is sent that knows how many there were and tells `join` too, which is then sealed with
    one place more than there are members. `bulk` is their shape.
    """

    base: str
    join: str
    bulk: Bulk

    @property
    def whole(self) -> str:
        """The step whose value is the list of all their values: nobody knew their number when the join was sent."""
        return f"{self.base}-all"


class Compiled(NamedTuple):
    """What to send, those that wait before those that tell them: so it may be sent in parts."""

    messages: list[Message]
    open: Open | None = None


def compile(
    shape: Shape,
    id: str,
    ground: Ground,
    *,
    reuse: Mapping[str, Ref] | None = None,
    tells: tuple[Next, ...] = (),
    keeps_plan: bool = True,
) -> Compiled:
    """The messages of a workflow that gets this id.

    `tells`: whom its last step tells too, which is how a run waits for the workflow that it returned; that one has the
    plan, and `keeps_plan` is False.

    `reuse` is for sending a workflow again from the failed step on. It says where the values are of steps that
    succeeded earlier, by the ids that they would get now: for a workflow `old` that is sent again as `new`, whose step
    old.0 succeeded, `{"new.0": One("old.0")}`. Such a step is not sent, nor is anything that it was made of (a chain or
    a chord by its last step, a group by its gatherer or member for member), nor are its callbacks; what stands
    behind it reads the old value. A group that was read lazily (`Bulk`) has no members in its plan: it can only be
    named whole, by its id, as `One(f"{old id}-all")`.
    """
    weaver = _Weaver(reuse or {})
    weaver.node(shape, id, gathers=True)
    if id not in weaver.steps:
        raise ConfigurationError(
            f"workflow {id} has no last step, so nothing could be its result: it ends in a group without members, or "
            "all of it is reused"
        )
    weaver.steps[id].then.extend(tells)
    has_plan = keeps_plan and (len(weaver.steps) > 1 or weaver.open is not None or bool(reuse))
    ground = msgspec.structs.replace(ground, root=ground.root or id) if len(weaver.steps) > 1 else ground
    messages = [
        step.message(ground, encode(shape) if has_plan and step.id == id else None) for step in weaver.steps.values()
    ]
    return Compiled(sorted(messages, key=lambda message: not message.is_waiting), weaver.open)


def elements(shape: Chain | Chord) -> tuple[Shape, ...]:
    """The elements of a chain as they are numbered: a chord's header and body are two, and those of a chain or chord
    at its end belong to it. Callbacks of that inner one belong to its end, which is this one's."""
    steps = shape.steps if isinstance(shape, Chain) else (shape.header, shape.body)
    last = steps[-1]
    if isinstance(last, Chain | Chord):
        return (*steps[:-1], *elements(last))
    return steps


def callbacks(shape: Shape) -> list[tuple[When, Shape]]:
    """The callbacks of the step in which this ends, in the order of their numbers: <id>!0 and on."""
    if isinstance(shape, Bulk):
        return []
    inner = shape.steps[-1] if isinstance(shape, Chain) else shape.body if isinstance(shape, Chord) else None
    listed: list[tuple[When, Shape]] = [] if inner is None or isinstance(inner, Bulk) else callbacks(inner)
    listed += [("success", one) for one in shape.on_success]
    listed += [("failure", one) for one in shape.on_failure]
    return listed


class _Part(NamedTuple):
    """A part of a workflow that is drawn. Its `entries` wait for what comes before it and get its value; its
    `followers` only wait for it."""

    entries: list[str]
    followers: list[str]
    end: End


_NOBODY: list[str] = []


class _Weaver:
    """Draws a workflow's steps and the edges between them."""

    def __init__(self, reuse: Mapping[str, Ref]) -> None:
        self.steps: dict[str, Step] = {}
        self.open: Open | None = None
        self._reuse = reuse

    def node(self, shape: Shape, id: str, *, gathers: bool, has_callbacks: bool = True) -> _Part:
        """Draw a part. `gathers`: it must end in one step that has its id."""
        if id in self._reuse:
            return _Part(_NOBODY, _NOBODY, End((), self._reuse[id]))
        called_back = callbacks(shape) if has_callbacks else []
        match shape:
            case Call():
                self.steps[id] = Step(id, shape)
                part = _Part([id], _NOBODY, End((id,), One(id)))
            case Chain() | Chord():
                part = self._chain(elements(shape), id)
            case Group():
                part = self._group(shape, id, gathers or bool(called_back))
            case Bulk():
                part = self._bulk(shape, id, gathers)
        if called_back and id not in self.steps:
            raise ConfigurationError(
                f"a group without members ({id}) has callbacks, and there is nothing they could wait for; set them on "
                "what stands behind it"
            )
        self._call_back(called_back, id)
        return part

    def _chain(self, steps: tuple[Shape, ...], id: str) -> _Part:
        entries: list[str] = []
        followers: list[str] = []
        end: End | None = None
        for index, shape in enumerate(steps):
            is_last = index == len(steps) - 1
            goes_to_one = not is_last and isinstance(steps[index + 1], Call)
            own_id = id if is_last else f"{id}.{index}"
            part = self.node(shape, own_id, gathers=not goes_to_one, has_callbacks=not is_last)
            if end is None:
                entries, followers, end = part.entries, part.followers, part.end
                continue
            self._connect(end, part)
            if end.ids == ():  # nobody tells these: they wait for what comes before the chain
                followers = [*followers, *part.entries, *part.followers]
            end = part.end if part.end.ids != () else End(end.ids, part.end.ref)
        assert end is not None
        return _Part(entries, followers, end)

    def _group(self, group: Group, id: str, gathers: bool) -> _Part:
        parts = [self.node(member, f"{id}-{index}", gathers=True) for index, member in enumerate(group.members)]
        ends = {one.name: part.end for one, part in zip(group.members, parts, strict=True) if not isinstance(one, Bulk)}
        for member, part in zip(group.members, parts, strict=True):
            for name in () if isinstance(member, Bulk) else member.after:
                self._connect(ends[name], part, name=name)
        entries = [entry for part in parts for entry in part.entries]
        followers = [follower for part in parts for follower in part.followers]
        tellers = tuple(id for part in parts for id in part.end.ids or ())
        end = End(tellers, listed([part.end.ref for part in parts], id))
        if not gathers or not parts:
            return _Part(entries, followers, end)
        self.steps[id] = Step(id, None, like=first_call(group))
        self._connect(end, _Part([id], _NOBODY, end))
        if not tellers:
            followers.append(id)
        return _Part(entries, followers, End((id,), One(id)))

    def _bulk(self, bulk: Bulk, id: str, gathers: bool) -> _Part:
        self.open = Open(id, "", bulk)
        end = End(None, One(self.open.whole))
        if gathers:
            self.steps[id] = Step(id, None, like=bulk)
            self._connect(end, _Part([id], _NOBODY, end))
            end = End((id,), One(id))
        return _Part(_NOBODY, _NOBODY, end)

    def _refuse_unkept(self, tellers: Iterable[str]) -> None:
        for id in tellers:
            call = self.steps[id].call
            if call is not None and call.policy.result_ttl <= 0:
                raise ConfigurationError(
                    f"{call.task}: result_ttl=0 keeps no result, and a step of this workflow is to read it; leave it "
                    "out, or give it to the last step alone: .set(result_ttl=0)"
                )

    def _call_back(self, called_back: list[tuple[When, Shape]], id: str) -> None:
        for number, (when, shape) in enumerate(called_back):
            known = len(self.steps)
            part = self.node(shape, f"{id}!{number}", gathers=True)
            self._connect(End((id,), One(id)), part, when=when)
            firsts = {*part.entries, *part.followers}
            later = [one for one in islice(self.steps, known, None) if one not in firsts]
            self.steps[id].then.extend(not_needed(later, when))

    def _connect(self, end: End, part: _Part, *, name: str | None = None, when: When = "flow") -> None:
        """Have a part wait for what comes before it, and take its value in."""
        taken = Input(end.ref, name, is_failure=when == "failure")
        takers = [id for id in part.entries if (call := self.steps[id].call) is None or not call.is_immutable]
        for id in takers:
            self.steps[id].inputs.append(taken)
        if takers and when != "failure":
            self._refuse_unkept(end.ids or ())
        if end.ids is None:
            self._leave_open(part)
            return
        by_place: dict[int, list[str]] = {}
        for id in (*part.entries, *part.followers):
            by_place.setdefault(self.steps[id].waits, []).append(id)
        for free, ids in by_place.items():
            for place, teller in enumerate(end.ids, free):
                self.steps[teller].then.extend(told(ids, place, when))
            for id in ids:
                self.steps[id].waits += len(end.ids)

    def _leave_open(self, part: _Part) -> None:
        """The one step that waits for members whom nobody has counted."""
        assert self.open is not None
        (join,) = part.entries
        self.open = self.open._replace(join=join)
        self.steps[join].waits = OPEN


def first_call(shape: Shape) -> Call | Bulk | None:
    """The call that a workflow begins with, or the first of them."""
    if isinstance(shape, Call | Bulk):
        return shape
    parts = shape.members if isinstance(shape, Group) else elements(shape)
    return next((first for first in map(first_call, parts) if first is not None), None)
