"""polypool: a task queue in which one worker hosts every kind of execution pool."""

from polypool.app import Polypool
from polypool.composing.composed import chain
from polypool.composing.parallel import chord, group
from polypool.composing.signature import Signature
from polypool.core.error import (
    ArgumentError,
    AsyncioInGreenlet,
    ConfigurationError,
    DuplicateTask,
    EngineDamaged,
    EngineError,
    EngineFull,
    EngineUnreachable,
    InputMissing,
    MessageTooLarge,
    MissingExtra,
    NoCurrentTask,
    NotEncodable,
    NotRepeatable,
    PolypoolError,
    RateLimited,
    ResultUnknown,
    RetryRequested,
    SendError,
    SoftTimeout,
    TaskCancelled,
    TaskError,
    TaskExpired,
    TaskFailed,
    TaskLost,
    TimeLimitExceeded,
    TraitMissing,
    UnknownOption,
    WaitInsideTask,
)
from polypool.core.lifecycle import State
from polypool.core.outcome import FailedStep
from polypool.current import current
from polypool.limits.rule import Concurrency, Rate
from polypool.results.group import GroupResult
from polypool.results.result import AsyncResult
from polypool.results.watching import Emitted, Ended, Progress, Started
from polypool.results.workflow import Workflow
from polypool.task import Task
from polypool.values import Values

__all__ = [
    "ArgumentError",
    "AsyncResult",
    "AsyncioInGreenlet",
    "Concurrency",
    "ConfigurationError",
    "DuplicateTask",
    "Emitted",
    "Ended",
    "EngineDamaged",
    "EngineError",
    "EngineFull",
    "EngineUnreachable",
    "FailedStep",
    "GroupResult",
    "InputMissing",
    "MessageTooLarge",
    "MissingExtra",
    "NoCurrentTask",
    "NotEncodable",
    "NotRepeatable",
    "Polypool",
    "PolypoolError",
    "Progress",
    "Rate",
    "RateLimited",
    "ResultUnknown",
    "RetryRequested",
    "SendError",
    "Signature",
    "SoftTimeout",
    "Started",
    "State",
    "Task",
    "TaskCancelled",
    "TaskError",
    "TaskExpired",
    "TaskFailed",
    "TaskLost",
    "TimeLimitExceeded",
    "TraitMissing",
    "UnknownOption",
    "Values",
    "WaitInsideTask",
    "Workflow",
    "chain",
    "chord",
    "current",
    "group",
]
