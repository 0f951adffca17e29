"""Every error polypool raises, in one tree.

PolypoolError
├── ConfigurationError            what was asked for cannot start
│   ├── UnknownOption             an option the decorator or apply_async does not have
│   ├── MissingExtra              a driver or pool whose package is not installed
│   └── TraitMissing              the engine cannot do what a task needs
├── EngineError                   the broker or backend
│   ├── EngineUnreachable         cannot be opened, or went away
│   ├── EngineDamaged             corrupted, read-only, of another version, or it lets nobody in
│   └── EngineFull                no room; what was accepted before is kept
├── SendError                     the message was refused, nothing was written
│   ├── ArgumentError             an argument does not fit the task's signature
│   ├── NotEncodable              a value that has no MessagePack form
│   ├── MessageTooLarge           larger than an engine takes; results and events too
│   ├── DuplicateTask             a task with that id is already there
│   └── NotRepeatable             a workflow that cannot be retried or replayed as it stands
├── TaskError                     how a run ended, seen by who waits for it
│   ├── TaskFailed                the task raised; carries type, text and traceback
│   ├── TaskCancelled             somebody cancelled it
│   ├── TaskLost                  its process died too often; it is in the dead letters
│   ├── TaskExpired               not begun before `expires`
│   ├── TimeLimitExceeded         the hard timeout; the process was killed
│   └── ResultUnknown             never sent, or its time to live is over
├── SoftTimeout                   raised inside a task at `soft_timeout`
├── RetryRequested                raised inside a task by `raise current.retry()`
├── RateLimited                   raised inside a task that a provider refused for now
├── NoCurrentTask                 `current` used where no task runs
├── WaitInsideTask                a blocking wait for a result inside a running task
├── InputMissing                  a step's argument, another step's result, cannot be had
└── AsyncioInGreenlet             asyncio started inside a gevent or eventlet task
"""


class PolypoolError(Exception):
    """The root: catch it to catch everything polypool raises on purpose."""


class ConfigurationError(PolypoolError):
    """What was asked for cannot start; the text says which setting to change."""


class UnknownOption(ConfigurationError, TypeError):
    """An option that the decorator or `apply_async` does not have."""


class MissingExtra(ConfigurationError, ImportError):
    """A driver or a pool needs a package that is not installed."""


class TraitMissing(ConfigurationError):
    """The engine cannot do what a task needs, such as priorities or results."""


class EngineError(PolypoolError):
    """The broker or the result backend failed."""


class EngineUnreachable(EngineError, ConnectionError):
    """The engine cannot be opened, or went away; sending again is safe with the same task id."""


class EngineDamaged(EngineError):
    """The store cannot be used as it is: corrupted, read-only, of another version, or it does not let us in. Waiting
    does not help, somebody must mend it."""


class EngineFull(EngineError, OSError):
    """The engine has no room left; nothing of this write was kept, everything before it was."""


class SendError(PolypoolError):
    """A message was refused before anything was written."""


class ArgumentError(SendError, TypeError):
    """An argument does not fit the task's signature; the text names the parameter."""


class NotEncodable(SendError, TypeError):
    """A value has no MessagePack form; use plain values, dataclasses or msgspec Structs."""


class MessageTooLarge(SendError, ValueError):
    """A message, a result or an event is larger than an engine takes; the text names the limit."""


class DuplicateTask(SendError, ValueError):
    """A task with that id is already in the engine."""


class NotRepeatable(SendError, ValueError):
    """A workflow cannot be retried or replayed as it stands: it goes on, nothing in it failed, or parts of it are not
    kept. The text says which."""


class TaskError(PolypoolError):
    """How a run ended, raised to whoever waits for its result."""

    def __init__(self, message: str = "", *, task_id: str = "") -> None:
        super().__init__(message)
        self.task_id = task_id


class TaskFailed(TaskError):
    """The task raised.

    `type` is the qualified name of the exception's class in the child, `traceback` its text.
    """

    def __init__(self, message: str = "", *, task_id: str = "", type: str = "", traceback: str = "") -> None:
        super().__init__(message, task_id=task_id)
        self.type = type
        self.traceback = traceback


class TaskCancelled(TaskError):
    """The task was cancelled, before or during its run."""


class TaskLost(TaskError):
    """The task's process died too often; the message is kept in the dead letters."""


class TaskExpired(TaskError):
    """The task had not begun when its `expires` came."""


class TimeLimitExceeded(TaskError, TimeoutError):
    """The hard timeout passed and the process that ran the task was killed."""


class ResultUnknown(TaskError, LookupError):
    """No such task: it was never sent, was purged, or its result's time to live is over."""


class SoftTimeout(PolypoolError, TimeoutError):
    """Raised inside a task when `soft_timeout` passes; catch it to clean up."""


class RetryRequested(PolypoolError):
    """What `current.retry()` makes: raise it to have the task run again.

    `countdown` is seconds from now; None takes the task's own backoff.
    """

    def __init__(self, countdown: float | None = None) -> None:
        super().__init__("the task asked to run again; `raise current.retry(...)` only makes sense inside a task")
        self.countdown = countdown


class RateLimited(PolypoolError):
    """Raise it in a task when a provider says "not now": nobody uses the task's rate limits for `retry_after` seconds,
    and the task runs again after that, which costs it no retry.

    `key` names one of its limits, where it is not about all of them. `limit`: the provider's own amount in that limit's
    window, if it told one; a lower one than declared counts for ten minutes.
    """

    def __init__(self, retry_after: float = 1.0, *, key: str | None = None, limit: float | None = None) -> None:
        super().__init__(f"a provider's limit is reached; to be tried again after {retry_after:g} s")
        self.retry_after = retry_after
        self.key = key
        self.limit = limit


class NoCurrentTask(PolypoolError, RuntimeError):
    """`current` was used where no task runs."""


class WaitInsideTask(PolypoolError, RuntimeError):
    """A running task waited, blocking, for another one: it would hold its slot while that one may need it."""


class InputMissing(PolypoolError, LookupError):
    """A step of a workflow could not get the result of a step before it: it is no longer kept, or there is none."""


class AsyncioInGreenlet(PolypoolError, RuntimeError):
    """An asyncio event loop was started inside a gevent or eventlet task."""
