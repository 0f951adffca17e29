"""Story: what a task tells a watcher, from wherever it left off, as server-sent events (the HTML standard, §9.2)."""

from typing import Any

import msgspec

from polypool.conversation import Conversation
from polypool.core.ask import Read
from polypool.core.error import EngineError, PolypoolError, ResultUnknown
from polypool.outlet import Outlet
from polypool.rest.document import document_of, encoded
from polypool.results.watching import Emitted, Ended, Progress, Started, TaskEvent, next_events

OVER = "end"
"""The id of a stream's last event. Whoever has seen it needs no more."""
RECONNECT_MS = 1000
AGAIN = 1.0
"""Seconds until a stream whose engine went away asks it again."""


class Told(msgspec.Struct, frozen=True):
    """One event. `data` is JSON, on one line."""

    event: str
    data: str
    id: str | None = None


class Story:
    """What one task tells, batch by batch as it comes from the engine."""

    def __init__(self, id: str, after: str | None, outlet: Outlet) -> None:
        self.id = id
        self.is_over = False
        self._after = after
        self._outlet = outlet

    def following(self) -> Conversation[list[Told]]:
        """What comes next, at least one. EngineError: ask for it again."""
        try:
            events = yield from next_events(self.id, self._after)
        except ResultUnknown:
            after, self._after = self._after, None  # what is still kept comes after what is gone
            self.is_over = after is None
            return [_gone(self.id, after)]
        if not isinstance(events[-1], Ended):
            self._after = events[-1].id
            return [*map(_written, events)]
        end = yield from _end(self.id, self._outlet)
        self.is_over = True
        return [*map(_written, events[:-1]), end]


def _written(event: TaskEvent) -> Told:
    data: Any
    match event:
        case Started(id, _, attempt):
            kind, data = "started", {"attempt": attempt}
        case Progress(id, _, done, total, note):
            kind, data = "progress", {"done": done, "total": total, "note": note}
        case Emitted(id, _, data):
            kind = "emit"
        case Ended():
            raise ValueError("the end is told with the result")
    return Told(kind, encoded(data).decode(), id)


def _end(id: str, outlet: Outlet) -> Conversation[Told]:
    (record,) = yield Read([id])
    if record is None:
        return _gone(id, None)
    try:
        told = encoded((yield from document_of(record, outlet)))
    except EngineError:
        raise
    except PolypoolError as error:
        told = encoded({"id": id, "task": record.task, "status": record.state, "error": _lost(error)})
    return Told("end", told.decode(), OVER)


def _lost(error: PolypoolError) -> dict[str, str]:
    return {"type": type(error).__name__, "message": str(error)}


def _gone(id: str, after: str | None) -> Told:
    """`is_over`: the task is no longer known; else events were lost, and what is still kept follows."""
    if after is None:
        detail = f"Task {id} is no longer known: its time to live is over, or it was purged."
        return Told("gone", encoded({"is_over": True, "detail": detail}).decode(), OVER)
    detail = f"Events after {after} are no longer kept. Those that are follow."
    return Told("gone", encoded({"is_over": False, "after": after, "detail": detail}).decode())
