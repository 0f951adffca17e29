"""Streaming: the members of a group as they are read, each as the messages that it is sent as."""

from collections.abc import Iterator
from typing import Any, Protocol

from polypool.canvas.compile import Ground, Open, callbacks, compile, first_call
from polypool.canvas.pace import Pace
from polypool.canvas.shape import Bulk, Call, Shape
from polypool.canvas.step import gatherer, message_of
from polypool.composing.shaping import Given
from polypool.composing.source import AT_ONCE, Source
from polypool.core.error import ConfigurationError
from polypool.core.join import Flow, Input, Many, Next
from polypool.core.message import Message


class Lazy(Protocol):
    """A group, as far as reading its members needs it. `pace` is that of chunks whose size is found meanwhile."""

    @property
    def pace(self) -> Pace | None: ...

    @property
    def source(self) -> Source[Any]: ...
    def member_shape(self, member: Any, index: int, given: Given) -> Shape: ...
    def inside(self, given: Given) -> Given: ...


class Stream:
    """The members of a group that are read while they are sent."""

    def __init__(self, group: Lazy) -> None:
        self.members = group
        self.first: Call | Bulk | None = None
        self._given: Given | None = None
        self.count = 0

    def begin(self, given: Given) -> Bulk:
        """The group's place in the workflow's shape."""
        self._given = self.members.inside(given)
        first = self.members.source.first()
        shape = self.members.member_shape(first, 0, self._given)
        self.first = first_call(shape)
        assert self.first is not None
        is_plain = isinstance(shape, Call) and not callbacks(shape)
        return Bulk(self.first.task, None, self.first.queue, self.first.pool, None if is_plain else shape)

    def messages(self, open: Open, ground: Ground) -> Iterator[Message]:
        """What is sent for the members, one after the other."""
        assert self._given is not None
        for index, member in enumerate(self.members.source.stream()):
            _refuse_waiting(member, index)
            shape = self.members.member_shape(member, index, self._given)
            id, edge = f"{open.base}-{index}", Next(open.join, index)
            if isinstance(shape, Call) and not shape.on_success and not shape.on_failure:
                yield message_of(shape, id, ground, Flow(then=(edge,)))
            else:
                yield from compile(shape, id, ground, tells=(edge,), keeps_plan=False).messages
            self.count = index + 1

    def whole(self, open: Open, ground: Ground) -> Message:
        """The step that knows how many there were."""
        flow = Flow(then=(Next(open.join, self.count),), inputs=(Input(Many(open.base, self.count)),), gathers=True)
        return gatherer(open.whole, self.first, ground, flow)


def _refuse_waiting(member: Any, index: int) -> None:
    if member.waiting[1]:
        raise ConfigurationError(
            f"member {index:,} of a group waits for others in it (after={list(member.waiting[1])}), and a group of so "
            f"many is read while it is sent, when nobody knows yet who they are; it may have {AT_ONCE:,} at most"
        )
