"""polypool: a task queue in which one worker hosts every kind of execution pool."""

from polypool.app import Polypool
from polypool.composed import chain
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
from polypool.group import GroupResult
from polypool.parallel import chord, group
from polypool.result import AsyncResult
from polypool.signature import Signature
from polypool.task import Task
from polypool.values import Values
from polypool.watching import Emitted, Ended, Progress, Started
from polypool.workflow import Workflow

__all__ = [
    "ArgumentError",
    "AsyncResult",
    "AsyncioInGreenlet",
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
