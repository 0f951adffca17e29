"""Workflows as they are sent: by a client, and instead of the ending of a run that returned one."""

from collections.abc import Callable

from polypool.canvas.compile import Ground, compile
from polypool.canvas.shape import Shape
from polypool.core.codec import encode
from polypool.core.join import Flow, Input, Next, One
from polypool.core.message import Message
from polypool.core.outcome import Replaced
from tests.conformance.flow_check import Workflow
from tests.conformance.flow_hands import Compile


def sent(shape: Shape, id: str, now: float) -> Workflow:
    """A workflow with this id."""
    return Workflow(id, shape, compile(shape, id, Ground(now)).messages)


def replaced(clock: Callable[[], float]) -> Compile:
    """What makes the outcome of a run that returned a workflow."""

    def outcome(shape: Shape, message: Message) -> Replaced:
        id = f"{message.id}~"
        ground = Ground(clock(), message.priority, parent=message.id, root=message.root)
        messages = compile(shape, id, ground, tells=(Next(message.id),), keeps_plan=False).messages
        flow = Flow(1, inputs=(Input(One(id)),), gathers=True, replacement=encode(shape))
        return Replaced(messages, flow)

    return outcome
