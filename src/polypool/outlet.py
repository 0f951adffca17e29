"""Outlet: an app's way out. The line it sends through, its clock, and conversations held over that line."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

from polypool.conversation import Conversation, ahold, hold
from polypool.core.ask import Put
from polypool.core.codec import decode_any
from polypool.core.error import DuplicateTask
from polypool.core.message import Message
from polypool.core.port import Line
from polypool.ids import IdSource

T = TypeVar("T")


class ReadsResults(Protocol):
    """What knows the type of a task's results."""

    def decode_result(self, value: bytes) -> Any: ...


class Returning(Protocol):
    """A task, as far as a result needs it."""

    @property
    def arguments(self) -> ReadsResults: ...


class Outlet:
    """Where an app's messages leave this process and answers come in.

    In a client the line is the process's own connection, in a worker's child its uplink. `line_over` makes one for
    sends over a connection of the sender's own, into the transaction that is open there.
    """

    __slots__ = ("line", "line_over", "new_id", "now", "tasks")

    def __init__(self, line: Line, tasks: Mapping[str, Returning], line_over: Callable[[Any], Line]) -> None:
        self.line = line
        self.line_over = line_over
        self.tasks = tasks
        self.now: Callable[[], float] = time.time
        self.new_id = IdSource()

    def hold(self, conversation: Conversation[T]) -> T:
        """Carry a conversation through, blocking at each ask."""
        return hold(self.line, conversation)

    async def ahold(self, conversation: Conversation[T]) -> T:
        """Carry a conversation through, awaiting each ask."""
        return await ahold(self.line, conversation)

    def read_value(self, task: str, value: bytes | None) -> Any:
        """What a task returned, typed by its annotation where this process knows the task."""
        if value is None:
            return None
        known = self.tasks.get(task)
        return decode_any(value) if known is None else known.arguments.decode_result(value)


def send(line: Line, message: Message) -> None:
    """Send one message; returns once the line has put it where it belongs. DuplicateTask."""
    accepted: list[bool] = line.ask(Put([message])).result()
    if not accepted[0]:
        raise _duplicate(message)


async def asend(line: Line, message: Message) -> None:
    """The same, awaited."""
    accepted: list[bool] = await line.ask(Put([message]))
    if not accepted[0]:
        raise _duplicate(message)


def _duplicate(message: Message) -> DuplicateTask:
    return DuplicateTask(
        f"{message.task}: a task with the id {message.id!r} was sent before; nothing was sent now. "
        f"app.result({message.id!r}) shows what became of it"
    )
