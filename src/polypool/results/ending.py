"""How a run ended, for whoever waits for it: a record's failure as the error to raise."""

import re

from polypool.core import error as errors
from polypool.core.error import PolypoolError, TaskCancelled, TaskError, TaskFailed
from polypool.core.event import Record
from polypool.core.lifecycle import State
from polypool.core.outcome import Failure, Origin

_OURS = "polypool.core.error."
_RAISED_INSIDE = (
    "SoftTimeout",
    "ArgumentError",
    "MessageTooLarge",
    "NotEncodable",
    "NoCurrentTask",
    "WaitInsideTask",
    "InputMissing",
    "AsyncioInGreenlet",
)
"""Errors of ours that a run raises itself and that mean the same to whoever waits."""
_MEMBER = re.compile(r"-(\d+)(?=[-.~!]|$)")


class RemoteTraceback(Exception):
    """The traceback of a run, as the cause of the error that its failure became."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f'\n"""\n{self.text.rstrip()}\n"""'


def error_of(record: Record) -> PolypoolError | None:
    """The error to raise for a record that has ended; None where the run succeeded.

    Of a step that was not run because one before it had ended badly it is that one's error, with that one's id.
    """
    if record.state is State.SUCCEEDED:
        return None
    failure = record.failure or Failure(f"{_OURS}TaskFailed", "nothing is known of why")
    error = _error(record, failure)
    if failure.traceback:
        error.__cause__ = RemoteTraceback(failure.traceback)
    return error


def _error(record: Record, failure: Failure) -> PolypoolError:
    origin = failure.origin or Origin(record.id, record.task)
    is_elsewhere = origin.id != record.id
    named = f"{origin.task or 'task'} {origin.id}"
    meant = ""
    if is_elsewhere:
        named, meant = named + _member(origin.id, record.id), _meant(record, origin)
    if record.state is State.CANCELLED:
        text = "it was cancelled" if is_elsewhere else failure.message
        return TaskCancelled(f"{named}: {text}{meant}", task_id=origin.id)
    kind = getattr(errors, failure.type.removeprefix(_OURS), None) if failure.type.startswith(_OURS) else None
    if isinstance(kind, type) and issubclass(kind, PolypoolError):
        # With a traceback the task itself raised it: a sub-task that was cancelled leaves this one failed.
        if issubclass(kind, TaskError) and kind is not TaskFailed and not failure.traceback:
            return kind(f"{named}: {failure.message}{meant}", task_id=origin.id)
        if kind.__name__ in _RAISED_INSIDE:
            return kind(f"{named}: {failure.message}{meant}")
    what = f"{_short(failure.type)}: {failure.message}" if failure.message else _short(failure.type)
    return TaskFailed(f"{named}: {what}{meant}", task_id=origin.id, type=failure.type, traceback=failure.traceback)


def _meant(record: Record, origin: Origin) -> str:
    """What somebody else's ending meant to this step, on a line of its own."""
    step = f"{record.task or 'task'} {record.id}"
    if origin.id.startswith(f"{record.id}~"):
        return f"\nIt is a step of the workflow that {step} returned and that took its place."
    if origin.id.startswith(f"{record.id}-"):
        return f"\nSo the group {record.id} has no result."
    return f"\n{step}, which waited for it, was not run."


def _member(origin: str, of: str) -> str:
    """Which member of a group that step is or belongs to, seen from another step of the same workflow."""
    shared = 0
    for ours, theirs in zip(of, origin, strict=False):
        if ours != theirs:
            break
        shared += 1
    if shared < min(len(of), len(origin)):  # they part within a number or at its end: from its sign on
        shared = max((origin.rfind(sign, 0, shared + 1) for sign in ".-~!"), default=0)
    members = [f"member {number}" for number in _MEMBER.findall(origin[max(shared, 0) :])]
    return f" ({' of '.join(reversed(members))})" if members else ""


def _short(type_name: str) -> str:
    """As Python prints it: without the module for what is built in."""
    return type_name.removeprefix("builtins.")
