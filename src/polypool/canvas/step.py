"""Step: what will be one message of a workflow, while its edges are drawn. Only `compile` uses it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from polypool.canvas.shape import Bulk, Call
from polypool.core.codec import encode
from polypool.core.join import NO_PLACE, Flow, Input, Listed, Many, Next, One, Ref, When
from polypool.core.message import Message, Policy

GATHERER = "polypool.group"
"""What a step is called that has nothing to run: its value is made of other steps' values."""

KEPT = 7 * 86_400.0
"""Seconds that a step's value is kept at least, unless somebody said otherwise: the steps behind it read it, and may
wait that long for a worker, a retry, or somebody who mends what failed and has the rest run."""


class Ground(msgspec.Struct, frozen=True):
    """What the steps of one send have in common. `root` None: the workflow itself. Unix times."""

    now: float
    priority: int = 0
    expires: float | None = None
    parent: str | None = None
    root: str | None = None


class End(NamedTuple):
    """What stands behind a part of a workflow may wait for these steps and read this value.

    `ids` None: those of members that nobody has counted yet.
    """

    ids: Sequence[str] | None
    ref: Ref


@dataclass
class Step:
    """`call` None: it only gathers, in the lane of `like`, one of those that it gathers."""

    id: str
    call: Call | None
    like: Call | Bulk | None = None
    waits: int = 0
    inputs: list[Input] = field(default_factory=list)
    then: list[Next] = field(default_factory=list)

    def message(self, ground: Ground, plan: bytes | None) -> Message:
        flow = None
        if self.waits or self.then or self.inputs or plan is not None:
            countdown = self.call.countdown if self.call is not None and self.waits else 0.0
            gathers = self.call is None
            flow = Flow(self.waits, tuple(self.then), tuple(self.inputs), countdown, gathers, plan)
        if self.call is not None:
            return message_of(self.call, self.id, ground, flow)
        return gatherer(self.id, self.like, ground, flow)


def message_of(call: Call, id: str, ground: Ground, flow: Flow | None) -> Message:
    """What a call is sent as. The countdown of one that waits stands in its flow: it counts from when it is ready."""
    due = call.due
    if due is None and call.countdown and (flow is None or not flow.waits):
        due = ground.now + call.countdown
    return Message(
        id=id,
        task=call.task,
        args=call.args,
        queue=call.queue,
        pool=call.pool,
        priority=ground.priority if call.priority is None else call.priority,
        sent_at=ground.now,
        due=due,
        expires=ground.expires if call.expires_in is None else ground.now + call.expires_in,
        policy=call.policy,
        parent=ground.parent,
        root=ground.root,
        flow=flow,
        each=call.each,
        charges=call.charges,
    )


def gatherer(id: str, like: Call | Bulk | None, ground: Ground, flow: Flow | None) -> Message:
    """A step that has nothing to run. It stands in a lane that a worker serves anyhow: that of a step it gathers."""
    priority, ttl = ground.priority, KEPT
    if isinstance(like, Call):
        priority = priority if like.priority is None else like.priority
        ttl = like.policy.result_ttl
    return Message(
        id=id,
        task=GATHERER,
        args=NO_ARGUMENTS,
        queue="default" if like is None else like.queue,
        pool="threads" if like is None else like.pool,
        priority=priority,
        sent_at=ground.now,
        policy=Policy(result_ttl=ttl),
        parent=ground.parent,
        root=ground.root,
        flow=flow,
    )


def told(ids: Sequence[str], place: int, when: When) -> list[Next]:
    """Edges to these steps, all of which have this place free; one for all where their ids are numbered."""
    if len(ids) > 1 and ids[0].endswith("-0"):
        base = ids[0].removesuffix("-0")
        if all(id == f"{base}-{index}" for index, id in enumerate(ids)):
            return [Next(base, place, when, len(ids))]
    return [Next(id, place, when) for id in ids]


def not_needed(ids: Sequence[str], when: When) -> list[Next]:
    """Edges that only say when these steps are not needed."""
    return told(ids, NO_PLACE, when)


def listed(refs: Sequence[Ref], base: str) -> Ref:
    """A reference to the list of what these refer to."""
    if all(isinstance(ref, One) and ref.id == f"{base}-{index}" for index, ref in enumerate(refs)):
        return Many(base, len(refs))
    return Listed(tuple(refs))


NO_ARGUMENTS = encode(((), {}))
