"""Sending workflows: composed, compiled, and put.

A workflow of up to AT_ONCE messages is written in one atomic step. A larger one is sent in parts, those steps first
that wait, so that nothing which runs already tells a step that is not there yet. A group of more members than are held
in memory is read while it is sent: its join is put open, then come the members, the join is sealed, and last comes a
step that knows how many there were. Sending again with the same `task_id` goes on where the first send broke off.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import msgspec

from polypool.canvas.compile import Compiled, Ground, compile, first_call
from polypool.canvas.shape import Group, Shape
from polypool.composing.shaping import Given
from polypool.composing.source import AT_ONCE, MOST_LISTED
from polypool.composing.streaming import Lazy, Stream
from polypool.composing.waiting import Named, refuse_outside
from polypool.conversation import Conversation, ahold, hold
from polypool.core.ask import Cancel, Put, Read, Seal
from polypool.core.codec import encode
from polypool.core.error import ConfigurationError, DuplicateTask
from polypool.core.join import NO_PLACE, Flow, Input, Many, Next, One
from polypool.core.lifecycle import State
from polypool.core.message import Message
from polypool.core.outcome import Replaced
from polypool.core.running import running
from polypool.outlet import Outlet
from polypool.progress_bar import Meter
from polypool.sending.bulk import asend_all, one_by_one, send_all

AT_ONCE_BYTES = 4 << 20
"""Of a workflow's messages, which are then written in one atomic step."""


class Sends(Protocol):
    """A signature, or what was composed of them. `flow` says how members that are read while they are sent are sent."""

    @property
    def flow(self) -> Mapping[str, Any]: ...
    @property
    def options(self) -> Mapping[str, Any]: ...
    @property
    def waiting(self) -> Named: ...
    @property
    def is_workflow(self) -> bool: ...
    def shape(self, given: Given) -> Shape: ...
    def first_group(self) -> Lazy | None: ...


class Workflow:
    """A workflow on its way out."""

    def __init__(
        self,
        composed: Sends,
        ground: Ground,
        id: str,
        given: Given,
        *,
        tells: tuple[Next, ...] = (),
        may_stream: bool = True,
    ) -> None:
        refuse_outside(composed, composed.waiting, "not in a group")
        self.id = id
        self.ground = ground
        self.flow = composed.flow
        group = composed.first_group()
        self.stream = Stream(group) if group is not None and may_stream and self._is_long(group) else None
        given = msgspec.structs.replace(given, is_whole=True, is_step=composed.is_workflow, streamed=self.stream)
        self.shape = composed.shape(given)
        if isinstance(self.shape, Group) and not self.shape.members:
            raise ConfigurationError(
                "this group has no members, so there is nothing to send; only before another step may a group be empty"
            )
        if self.stream is not None and self.stream.first is not None:
            priority = getattr(self.stream.first, "priority", 0) or 0
            self.ground = msgspec.structs.replace(ground, root=ground.root or id, priority=priority)
        self.compiled: Compiled = compile(self.shape, id, self.ground, tells=tells, keeps_plan=not tells)
        self._accepted = 0

    def _is_long(self, group: Lazy) -> bool:
        """Whether its members are read while they are sent."""
        at_once = MOST_LISTED if group.source.is_listed else AT_ONCE
        holds_back = group.pace is not None or self.flow.get("max_pending") is not None
        return (holds_back and group.source.first() is not None) or not group.source.read(at_once)

    @property
    def count(self) -> int | None:
        """Of a group, how many members it has."""
        if isinstance(self.shape, Group):
            return len(self.shape.members)
        return self.stream.count if self.stream is not None else None

    @property
    def is_small(self) -> bool:
        """Whether it is sent in one atomic step."""
        messages = self.compiled.messages
        return self.stream is None and len(messages) <= AT_ONCE and sum(map(_bytes, messages)) <= AT_ONCE_BYTES

    def meter(self) -> Meter:
        """Shows how far its sending is."""
        total = len(self.compiled.messages) if self.stream is None else self.stream.members.source.count_hint
        first = first_call(self.shape)
        return Meter("a workflow" if first is None else first.task, total, self.flow.get("progress"))

    def opening(self, may_be_known: bool) -> Conversation[None]:
        """All that is known yet, in one step if it is small. `may_be_known`: somebody may have sent this id before."""
        is_known = False
        if may_be_known:
            (record,) = yield Read([self.id])
            is_known = record is not None
            if is_known and self.is_small:
                raise self._duplicate()
        if self.is_small:
            yield from self._put(self.compiled.messages)
            self._refuse_again()
            return
        messages = self.compiled.messages
        waiting = sum(message.is_waiting for message in messages)
        # What waits was written in one step with this id. Callbacks among it may have been dropped since, and stay so.
        first = waiting if is_known and waiting <= AT_ONCE else 0
        for start in (*range(first, waiting, AT_ONCE), *range(waiting, len(messages), AT_ONCE)):
            stop = min(start + AT_ONCE, waiting) if start < waiting else start + AT_ONCE
            yield from self._put(messages[start:stop])

    def all_at_once(self) -> Conversation[None]:
        """Everything, where a transaction is around it."""
        messages = self.compiled.messages
        for start in range(0, len(messages), AT_ONCE):
            yield from self._put(messages[start : start + AT_ONCE])
        self._refuse_again()

    def members(self) -> Iterator[Message]:
        """What is read while it is sent."""
        if self.stream is not None and self.compiled.open is not None:
            yield from self.stream.messages(self.compiled.open, self.ground)

    def closing(self) -> Conversation[None]:
        """After the members."""
        yield from self.sealing()
        if (last := self.last()) is not None:
            self._accepted = 0  # what is written last says whether a send came to its end
            yield from self._put([last])
        self._refuse_again()

    def last(self) -> Message | None:
        """After members that were read while they were sent: the step that knows how many there were."""
        open = self.compiled.open
        return None if self.stream is None or open is None else self.stream.whole(open, self.ground)

    def sealing(self) -> Conversation[None]:
        """From now on the join waits for so many only. Members of a workflow that somebody cancelled while it was being
        sent are cancelled too: whoever cancelled it could not know of them."""
        open = self.compiled.open
        if self.stream is None or open is None:
            return
        if (yield Seal(open.join, self.stream.count + 1)):
            return
        (record,) = yield Read([self.id])
        if record is not None and record.state is State.CANCELLED:
            sent = Many(open.base, self.stream.count)
            for start in range(0, sent.count, AT_ONCE):
                yield Cancel(sent.ids(start, start + AT_ONCE))

    def _refuse_again(self) -> None:
        """DuplicateTask where all of it was there before."""
        if not self._accepted:
            raise self._duplicate()

    def _put(self, messages: list[Message]) -> Conversation[None]:
        accepted: list[bool] = yield Put(messages)
        self._accepted += sum(accepted)

    def _duplicate(self) -> DuplicateTask:
        return DuplicateTask(
            f"a workflow with the id {self.id!r} was sent before; nothing was sent now. "
            f"app.result({self.id!r}) shows what became of it"
        )


def prepared(
    composed: Sends, outlet: Outlet, args: tuple[Any, ...], kwargs: Mapping[str, Any], *, may_stream: bool = True
) -> Workflow:
    """A workflow that is to be sent now."""
    sender = running.get()
    parent = root = None
    if sender is not None:
        parent = sender.message.id
        root = sender.message.root or parent
    id = composed.options.get("task_id") or outlet.new_id()
    now = outlet.now()
    ground = Ground(now, parent=parent, root=root)
    return Workflow(composed, ground, id, Given(now, args, kwargs), may_stream=may_stream)


def send_workflow(
    composed: Sends, outlet: Outlet, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[str, int | None]:
    """Send it: the id that it got, and of a group how many members it has."""
    workflow = prepared(composed, outlet, args, kwargs)
    hold(outlet.line, workflow.opening("task_id" in composed.options))
    if workflow.stream is not None:
        most = composed.flow.get("max_pending")
        send_all(outlet.line, workflow.members(), workflow.meter(), None, most, workflow.stream.members.pace)
        hold(outlet.line, workflow.closing())
    return workflow.id, workflow.count


async def asend_workflow(
    composed: Sends, outlet: Outlet, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[str, int | None]:
    """The same, awaited."""
    workflow = prepared(composed, outlet, args, kwargs)
    await ahold(outlet.line, workflow.opening("task_id" in composed.options))
    if workflow.stream is not None:
        most, messages = composed.flow.get("max_pending"), one_by_one(workflow.members())
        await asend_all(outlet.line, messages, workflow.meter(), None, most, workflow.stream.members.pace)
        await ahold(outlet.line, workflow.closing())
    return workflow.id, workflow.count


def inside_transaction(
    composed: Sends, outlet: Outlet, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[Workflow, Conversation[None]]:
    """A workflow, and how all of it is put into a transaction of the sender's, which is atomic however large it is."""
    group = composed.first_group()
    if group is not None and not group.source.is_listed and not group.source.read(MOST_LISTED):
        raise ConfigurationError(
            f"inside a transaction a group is read before it is sent, and this one has more than {MOST_LISTED:,} "
            "members; send it without using(…) after the commit, or a task inside the transaction that returns it"
        )
    workflow = prepared(composed, outlet, args, kwargs, may_stream=False)
    return workflow, workflow.all_at_once()


def replacement_of(composed: Sends, message: Message, outlet: Outlet) -> Replaced:
    """The workflow that a run of this message returned, as what is sent in its place, with the ending of the run.

    The members of a long group are sent from here. The step that knows their number comes with the ending: without it
    their join cannot close, and the workflow not be over before there is somebody to be told.
    """
    id, now = f"{message.id}~", outlet.now()
    ground = Ground(now, message.priority, message.expires, message.id, message.root or message.id)
    options = {"priority": message.priority} if message.priority else {}
    workflow = Workflow(composed, ground, id, Given(now, options=options), tells=(Next(message.id),))
    flow = Flow(1, inputs=(Input(One(id)),), gathers=True, replacement=encode(workflow.shape))
    if workflow.stream is None:
        return Replaced(workflow.compiled.messages, flow)
    hold(outlet.line, workflow.opening(may_be_known=True))
    send_all(outlet.line, workflow.members(), workflow.meter(), pace=workflow.stream.members.pace)
    hold(outlet.line, workflow.sealing())
    last = workflow.last()
    return Replaced([] if last is None else [_heard_by(message.id, last, id)], flow)


def _heard_by(waiting: str, last: Message, id: str) -> Message:
    """The step that comes with the ending of the run, which waits from then on. Members have run since they were sent,
    and one that failed has ended the whole workflow before anybody waited for it: this step then says so."""
    assert last.flow is not None
    then = (*last.flow.then, Next(waiting, NO_PLACE))
    return msgspec.structs.replace(last, flow=msgspec.structs.replace(last.flow, then=then, ends_with=id))


def _bytes(message: Message) -> int:
    plan = message.flow.plan if message.flow is not None else None
    return len(message.args) + (0 if plan is None else len(plan))
