"""Outcome: how one run ended. Settlement: what the broker must now write, atomically."""

from typing import Literal

import msgspec

from polypool.core.lifecycle import State
from polypool.core.message import Delivery, Message


class Usage(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a run took, measured where it ran. Unix time and seconds."""

    started_at: float
    wall: float
    cpu: float | None = None
    """CPU seconds of this call alone; None where this run was not sampled."""


class Failure(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An exception as it can leave its process."""

    type: str
    message: str
    traceback: str = ""


class Done(msgspec.Struct, frozen=True, array_like=True, tag="done", gc=False):
    """The function returned; `value` is MessagePack."""

    value: bytes
    usage: Usage | None = None


class Failed(msgspec.Struct, frozen=True, array_like=True, tag="failed", gc=False):
    """The function raised, or could not be called."""

    failure: Failure
    usage: Usage | None = None


class Retry(msgspec.Struct, frozen=True, array_like=True, tag="retry", gc=False):
    """The task is to run again: it asked to, or raised something in its `autoretry_for`.

    `countdown` is seconds; None takes the policy's backoff.
    """

    failure: Failure | None = None
    countdown: float | None = None
    usage: Usage | None = None


class Deferred(msgspec.Struct, frozen=True, array_like=True, tag="deferred", gc=False):
    """Not run, and nobody's fault: goes back uncounted, to be taken again at `until` (None: at once)."""

    until: float | None = None


class Cancelled(msgspec.Struct, frozen=True, array_like=True, tag="cancelled", gc=False):
    """Cancelled before or during the run."""

    reason: str = "cancelled"
    usage: Usage | None = None


class Lost(msgspec.Struct, frozen=True, array_like=True, tag="lost", gc=False):
    """The process died under the run."""

    reason: str


class TimedOut(msgspec.Struct, frozen=True, array_like=True, tag="timed_out", gc=False):
    """The hard timeout passed and the child was killed."""

    timeout: float
    usage: Usage | None = None


class Dead(msgspec.Struct, frozen=True, array_like=True, tag="dead", gc=False):
    """Cannot be run at all: an unknown task, an undecodable body, too many lost runs."""

    reason: str


Outcome = Done | Failed | Retry | Deferred | Cancelled | Lost | TimedOut | Dead


class Ended(msgspec.Struct, frozen=True):
    """The message is over. Written with its result; kept for `ttl` seconds, dead letters until purged."""

    state: Literal[State.SUCCEEDED, State.FAILED, State.CANCELLED]
    value: bytes | None = None
    failure: Failure | None = None
    ttl: float = 0.0
    dead: bool = False
    usage: Usage | None = None


class Again(msgspec.Struct, frozen=True):
    """The message waits again, in its old place, with this delivery count.

    `message` is None when it goes back unchanged.
    """

    deliveries: int
    due: float | None = None
    message: Message | None = None


class Settlement(msgspec.Struct, frozen=True):
    """One delivery's end: the next state and all that must be written with it."""

    delivery: Delivery
    next: Ended | Again
    at: float
    follow_ups: tuple[Message, ...] = ()
