"""Outcome: how one run ended. Settlement: what the broker must now write, atomically."""

from typing import Literal

import msgspec

from polypool.core.join import Flow, Signal
from polypool.core.ledger import Adapt, Charge, Pause
from polypool.core.lifecycle import State
from polypool.core.message import Delivery, Message


class Usage(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a run took, measured where it ran. Unix time and seconds."""

    started_at: float
    wall: float
    cpu: float | None = None
    """CPU seconds of this call alone; None where this run was not sampled."""


class Origin(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The step of a workflow at which it ended early."""

    id: str
    task: str


class Failure(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An exception as it can leave its process."""

    type: str
    message: str
    traceback: str = ""
    origin: Origin | None = None
    """Where it was raised, of a step that was not run because an earlier one had failed."""


class Cause(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Why a step that waited is not to be run: how a step before it ended. `failure.origin` is always set."""

    state: State
    failure: Failure


class FailedStep(msgspec.Struct, frozen=True):
    """What an error callback (`link_error`, `on_failure`) gets as its first argument.

    `task_id` and `task` name the step that failed, in a chord the member. `workflow_id` names the one whose callback
    this is.
    """

    task_id: str
    task: str
    type: str
    """The exception's class, as `builtins.ValueError`."""
    message: str
    traceback: str = ""
    workflow_id: str = ""


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


class Priced(msgspec.Struct, frozen=True, array_like=True, tag="priced", gc=False):
    """Not run yet: what its limits charge it was not known until its arguments were read."""

    charges: tuple[Charge, ...]


class Limited(msgspec.Struct, frozen=True, array_like=True, tag="limited", gc=False):
    """A provider refused it for now: goes back uncounted, and nobody uses these keys for so long."""

    retry_after: float
    pauses: tuple[Pause, ...] = ()
    adapts: tuple[Adapt, ...] = ()
    usage: Usage | None = None


class Cancelled(msgspec.Struct, frozen=True, array_like=True, tag="cancelled", gc=False):
    """Cancelled before or during the run."""

    reason: str = "cancelled"
    usage: Usage | None = None
    origin: Origin | None = None


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


class Replaced(msgspec.Struct, frozen=True, array_like=True, tag="replaced", gc=False):
    """The function returned a workflow, which takes its place: these messages are sent, and the task waits for them as
    `flow` says (`waits`, `inputs`, `gathers`, `replacement`), to end as they do."""

    messages: list[Message]
    flow: Flow
    usage: Usage | None = None


Outcome = Done | Failed | Retry | Deferred | Cancelled | Lost | TimedOut | Dead | Replaced | Priced | Limited


class Ended(msgspec.Struct, frozen=True):
    """The message is over. Written with its result; kept for `ttl` seconds, dead letters until purged."""

    state: Literal[State.SUCCEEDED, State.FAILED, State.CANCELLED]
    value: bytes | None = None
    failure: Failure | None = None
    ttl: float = 0.0
    dead: bool = False
    usage: Usage | None = None
    keeps_body: bool = False
    """The body stays with the ending, as a dead letter's does: it holds a workflow's plan."""


class Again(msgspec.Struct, frozen=True):
    """The message waits again, in its old place, with this delivery count.

    `message` is None when it goes back unchanged. One that `is_waiting` waits for other steps, as if it were put now.
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
    signals: tuple[Signal, ...] = ()
    """What this ending means to steps that wait for it; for a new message of `next` and for follow-ups nothing."""
