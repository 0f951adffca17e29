"""What a watcher of a task sees: its start, its progress, what it emits, its end."""

from dataclasses import dataclass
from typing import Any

from polypool.conversation import Conversation
from polypool.core.ask import Follow
from polypool.core.codec import decode_any
from polypool.core.error import ResultUnknown
from polypool.core.event import Event, Page
from polypool.core.lifecycle import State

PATIENCE = 30.0
"""Seconds that one ask waits at the engine; a wait of any length is made of such asks."""


@dataclass(frozen=True, slots=True)
class Started:
    """A further run began, by a retry or after a crash, so what follows is told anew. `attempt` counts from 1."""

    id: str
    at: float
    attempt: int


@dataclass(frozen=True, slots=True)
class Progress:
    """What the task said by `current.progress`."""

    id: str
    at: float
    done: float
    total: float | None
    note: str


@dataclass(frozen=True, slots=True)
class Emitted:
    """What the task said by `current.emit`."""

    id: str
    at: float
    data: Any


@dataclass(frozen=True, slots=True)
class Ended:
    """The task is over, always the last event. `state` is succeeded, failed or cancelled; `result.get()` says more.

    `id` is that of the event before it, None if there was none.
    """

    id: str | None
    at: float | None
    state: State


TaskEvent = Started | Progress | Emitted | Ended


def next_events(task_id: str, after: str | None) -> Conversation[list[TaskEvent]]:
    """The events that follow a cursor, at least one, waiting for them; `Ended` closes the stream."""
    while True:
        page: Page = yield Follow(task_id, after, PATIENCE)
        if page.is_gone:
            raise ResultUnknown(_gone(task_id, after), task_id=task_id)
        events = [_typed(event) for event in page.events]
        if page.record is not None and page.record.state.is_final:
            last = page.events[-1].id if page.events else after
            events.append(Ended(last, page.record.ended_at, page.record.state))
        if events:
            return events


def _typed(event: Event) -> TaskEvent:
    data = decode_any(event.data)
    if event.kind == "started":
        return Started(event.id, event.at, data)
    if event.kind == "progress":
        done, total, note = data
        return Progress(event.id, event.at, done, total, note)
    return Emitted(event.id, event.at, data)


def _gone(task_id: str, after: str | None) -> str:
    if after is None:
        return f"no task {task_id} is known: it was never sent, or its time to live is over"
    return (
        f"the events of task {task_id} after {after} are no longer kept; "
        "follow it from its beginning (after=None) for those that are"
    )
