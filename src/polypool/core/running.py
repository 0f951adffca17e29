"""Running: the call that is under way, as code inside it may see and use it. The one context variable."""

from contextvars import ContextVar
from typing import Any, Protocol

from polypool.core.error import WaitInsideTask
from polypool.core.message import Message


class Running(Protocol):
    """What a child makes for each call."""

    message: Message
    attempt: int
    run: int
    """The delivery's token; leads the ids of its events."""
    state: Any
    """What the app's lifespan yielded in this child."""

    def progress(self, done: float, total: float | None, note: str) -> None: ...
    def emit(self, data: Any) -> None: ...
    def spend(self, key: str, used: float) -> None: ...


class Sendable:
    """What takes a run's place when the run returns it: signatures, and what they are composed to, inherit from it.

    So a child knows a workflow from an ordinary value by one `isinstance`, whatever else the class may be (a dataclass
    or a Struct would else be taken for a value and encoded). `Application.replacement` says what is sent for it.
    """

    __slots__ = ()


running: ContextVar[Running | None] = ContextVar("polypool_running", default=None)


def wait_refused(id: str, state: str) -> WaitInsideTask:
    """The error for a wait that would hold the slot which the task waited for may need."""
    return WaitInsideTask(
        f"task {id} is {state}, and waiting for it inside a running task could wait for ever: this task holds the slot "
        "which that one may need. Return what is to come next instead, as in `return chain(first.s(x), second.s())`: "
        "it takes this task's place and its result becomes this task's. Or make this task `async def` with "
        'pool="asyncio" and `await result`: there a task that waits holds no slot'
    )
