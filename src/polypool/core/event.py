"""Event: what a running task tells its watchers. Record: what is known of a task."""

from typing import Literal

import msgspec

from polypool.core.lifecycle import State
from polypool.core.outcome import Failure, Usage

Kind = Literal["started", "progress", "emit"]


class Event(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One entry of a task's stream. `run` is the delivery's token, `number` counts from 1 within it."""

    run: int
    number: int
    kind: Kind
    data: bytes
    """MessagePack. Of `progress`: `[done, total, note]`; of `started`: the attempt's number."""
    at: float

    @property
    def id(self) -> str:
        """The cursor to go on from; rises along the stream."""
        return f"{self.run}-{self.number}"


class Record(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What an engine knows of one task: its state and, once it ended, its ending."""

    id: str
    state: State
    task: str = ""
    value: bytes | None = None
    failure: Failure | None = None
    ended_at: float | None = None
    usage: Usage | None = None
    is_dead: bool = False


class Page(msgspec.Struct, frozen=True, array_like=True):
    """A part of a stream. `record` is set once the task ended and nothing follows these events.

    `is_gone`: the cursor points before the retained history, or the task is unknown.
    """

    events: tuple[Event, ...] = ()
    record: Record | None = None
    is_gone: bool = False


def cursor(event_id: str) -> tuple[int, int]:
    """The (run, number) behind an event's id. ValueError says what an id looks like."""
    run, dash, number = event_id.partition("-")
    if not dash or not run.isdecimal() or not number.isdecimal():
        raise ValueError(f"{event_id!r} is no event id; ids look like '1-42'")
    return int(run), int(number)
