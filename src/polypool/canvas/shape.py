"""Shape: a workflow as it was composed, as plain values. It is what a plan holds, and what `compile` makes messages of.

Plans are MessagePack arrays that outlive releases: fields are only ever appended, with a default.
"""

from typing import Literal

import msgspec

from polypool.core.ledger import Charge
from polypool.core.message import DEFAULT_QUEUE, Policy


class Call(msgspec.Struct, frozen=True, array_like=True, tag="call", gc=False):
    """One task with its arguments, some of which may come from the steps before it.

    `args` is MessagePack of `[positional, keyword]` without what is still to come. `takes` is how many positional
    arguments come from before: 0 of an immutable one, and of the first step. `priority` and `expires_in` None: as the
    whole workflow has it.
    """

    task: str
    args: bytes
    queue: str = DEFAULT_QUEUE
    pool: str = "threads"
    priority: int | None = None
    policy: Policy = Policy()
    due: float | None = None
    countdown: float = 0.0
    expires_in: float | None = None
    is_immutable: bool = False
    each: Literal["item", "tuple"] | None = None
    name: str | None = None
    """By which steps beside it in a group may wait for it (`after`)."""
    after: tuple[str, ...] = ()
    on_success: tuple["Shape", ...] = ()
    on_failure: tuple["Shape", ...] = ()
    charges: tuple[Charge, ...] | None = ()


class Chain(msgspec.Struct, frozen=True, array_like=True, tag="chain", gc=False):
    """One after the other, each with the result of the one before. At least one."""

    steps: tuple["Shape", ...]
    on_success: tuple["Shape", ...] = ()
    on_failure: tuple["Shape", ...] = ()
    name: str | None = None
    after: tuple[str, ...] = ()


class Group(msgspec.Struct, frozen=True, array_like=True, tag="group", gc=False):
    """Side by side; its result is the list of theirs. Members with names may wait for each other."""

    members: tuple["Shape", ...]
    on_success: tuple["Shape", ...] = ()
    on_failure: tuple["Shape", ...] = ()
    name: str | None = None
    after: tuple[str, ...] = ()


class Chord(msgspec.Struct, frozen=True, array_like=True, tag="chord", gc=False):
    """A group, and a body that gets the list of its results."""

    header: "Group | Bulk"
    body: "Shape"
    on_success: tuple["Shape", ...] = ()
    on_failure: tuple["Shape", ...] = ()
    name: str | None = None
    after: tuple[str, ...] = ()


class Bulk(msgspec.Struct, frozen=True, array_like=True, tag="bulk", gc=False):
    """A group that was read lazily while it was sent: its members are not kept in the plan.

    `count` None: nobody knows how many, its sender has not come to the end.
    """

    task: str
    count: int | None = None
    queue: str = DEFAULT_QUEUE
    pool: str = "threads"
    member: "Shape | None" = None
    """The first member, where it is more than a plain call: by it the others' steps are found to be shown or ended."""


Shape = Call | Chain | Group | Chord | Bulk

_shape = msgspec.msgpack.Decoder(Shape)


def decode_plan(plan: bytes) -> Shape:
    """A stored plan as the shape that it is of."""
    shape: Shape = _shape.decode(plan)
    return shape
