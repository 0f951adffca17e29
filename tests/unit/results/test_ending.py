"""How an ending reads to whoever waits: of a step that was not run, which one failed, and what that meant."""

import pytest

from polypool import TaskCancelled, TaskError, TaskFailed, TaskLost, TimeLimitExceeded
from polypool.core.event import Record
from polypool.core.lifecycle import State
from polypool.core.outcome import Failure, Origin
from polypool.results.ending import RemoteTraceback, error_of

OURS = "polypool.core.error."


def told(id: str, origin: str, state: State = State.FAILED, type: str = "builtins.ValueError") -> TaskError:
    failure = Failure(type, "boom", "" if type.startswith(OURS) else "Traceback…", Origin(origin, "scan.rule"))
    error = error_of(Record(id, state, "scan.merge", failure=failure))
    assert isinstance(error, TaskError)
    return error


@pytest.mark.parametrize(
    ("id", "origin", "text"),
    [
        ("W", "W.0", "scan.rule W.0: ValueError: boom\nscan.merge W, which waited for it, was not run."),
        ("W", "W.0-3", "scan.rule W.0-3 (member 3): ValueError: boom\nscan.merge W, which waited for it, was not run."),
        ("W", "W-3", "scan.rule W-3 (member 3): ValueError: boom\nSo the group W has no result."),
        ("W", "W-3.1", "scan.rule W-3.1 (member 3): ValueError: boom\nSo the group W has no result."),
        (
            "W",
            "W-3.0-12",
            "scan.rule W-3.0-12 (member 12 of member 3): ValueError: boom\nSo the group W has no result.",
        ),
        (
            "W.2",
            "W.1-5",
            "scan.rule W.1-5 (member 5): ValueError: boom\nscan.merge W.2, which waited for it, was not run.",
        ),
        ("W-3", "W-3.0", "scan.rule W-3.0: ValueError: boom\nscan.merge W-3, which waited for it, was not run."),
        (
            "W-10",
            "W-12",
            "scan.rule W-12 (member 12): ValueError: boom\nscan.merge W-10, which waited for it, was not run.",
        ),
        (
            "W",
            "W~.1",
            "scan.rule W~.1: ValueError: boom\n"
            "It is a step of the workflow that scan.merge W returned and that took its place.",
        ),
        ("a-7", "a-7.0", "scan.rule a-7.0: ValueError: boom\nscan.merge a-7, which waited for it, was not run."),
    ],
)
def test_the_error_names_the_step_that_failed_and_what_it_meant(id: str, origin: str, text: str) -> None:
    error = told(id, origin)
    assert str(error) == text
    assert isinstance(error, TaskFailed)
    assert (error.task_id, error.type, error.traceback) == (origin, "builtins.ValueError", "Traceback…")
    assert isinstance(error.__cause__, RemoteTraceback)


@pytest.mark.parametrize("kind", [TimeLimitExceeded, TaskLost])
def test_the_kind_of_ending_is_that_of_the_step_that_failed(kind: type[TaskError]) -> None:
    error = told("W", "W.0", type=OURS + kind.__name__)
    assert type(error) is kind
    assert str(error) == "scan.rule W.0: boom\nscan.merge W, which waited for it, was not run."


def test_a_step_behind_one_that_was_cancelled_was_cancelled() -> None:
    error = told("W", "W.0-2", State.CANCELLED, OURS + "TaskCancelled")
    assert type(error) is TaskCancelled and error.task_id == "W.0-2"
    assert str(error) == (
        "scan.rule W.0-2 (member 2): it was cancelled\nscan.merge W, which waited for it, was not run."
    )


def test_a_step_that_failed_itself_reads_as_any_other_task() -> None:
    assert str(told("W", "W")) == "scan.rule W: ValueError: boom"
