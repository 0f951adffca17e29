"""How a run ended, for whoever waits for it: a record's failure as the error to raise."""

from polypool.core import error as errors
from polypool.core.error import PolypoolError, TaskCancelled, TaskError, TaskFailed
from polypool.core.event import Record
from polypool.core.lifecycle import State
from polypool.core.outcome import Failure

_OURS = "polypool.core.error."
_RAISED_INSIDE = (
    "SoftTimeout",
    "ArgumentError",
    "MessageTooLarge",
    "NotEncodable",
    "NoCurrentTask",
    "WaitInsideTask",
    "AsyncioInGreenlet",
)
"""Errors of ours that a run raises itself and that mean the same to whoever waits."""


class RemoteTraceback(Exception):
    """The traceback of a run, as the cause of the error that its failure became."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f'\n"""\n{self.text.rstrip()}\n"""'


def error_of(record: Record) -> PolypoolError | None:
    """The error to raise for a record that has ended; None where the run succeeded."""
    if record.state is State.SUCCEEDED:
        return None
    failure = record.failure or Failure(f"{_OURS}TaskFailed", "nothing is known of why")
    error = _error(record, failure)
    if failure.traceback:
        error.__cause__ = RemoteTraceback(failure.traceback)
    return error


def _error(record: Record, failure: Failure) -> PolypoolError:
    named = f"{record.task or 'task'} {record.id}: "
    if record.state is State.CANCELLED:
        return TaskCancelled(named + failure.message, task_id=record.id)
    kind = getattr(errors, failure.type.removeprefix(_OURS), None) if failure.type.startswith(_OURS) else None
    if isinstance(kind, type) and issubclass(kind, PolypoolError):
        # With a traceback the task itself raised it: a sub-task that was cancelled leaves this one failed.
        if issubclass(kind, TaskError) and kind is not TaskFailed and not failure.traceback:
            return kind(named + failure.message, task_id=record.id)
        if kind.__name__ in _RAISED_INSIDE:
            return kind(named + failure.message)
    text = f"{named}{_short(failure.type)}: {failure.message}" if failure.message else named + _short(failure.type)
    return TaskFailed(text, task_id=record.id, type=failure.type, traceback=failure.traceback)


def _short(type_name: str) -> str:
    """As Python prints it: without the module for what is built in."""
    return type_name.removeprefix("builtins.")
