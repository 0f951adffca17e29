"""Running: the call that is under way, as code inside it may see and use it. The one context variable."""

from contextvars import ContextVar
from typing import Any, Protocol

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


running: ContextVar[Running | None] = ContextVar("polypool_running", default=None)
