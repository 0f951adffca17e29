"""A task's events as server-sent events (the HTML standard, §9.2), from wherever a watcher left off."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import anyio
from sse_starlette import EventSourceResponse, ServerSentEvent

from polypool.core.ask import Read
from polypool.core.error import EngineError, PolypoolError, ResultUnknown
from polypool.outlet import Outlet
from polypool.results.watching import Emitted, Ended, Progress, Started, TaskEvent, next_events
from polypool.web.document import document_of, encoded
from polypool.web.settings import WebSettings

OVER = "end"
"""The id of a stream's last event. Whoever has seen it needs no more."""
RECONNECT_MS = 1000
AGAIN = 1.0
"""Seconds until a stream whose engine went away asks it again."""

log = logging.getLogger("polypool.web")


def stream_of(id: str, after: str | None, outlet: Outlet, settings: WebSettings) -> EventSourceResponse:
    """The answer: events until the task has ended, or the server stops and watchers are to come again."""
    stopping = anyio.Event()
    return EventSourceResponse(
        _until(stopping, Story(id, after, outlet)),
        ping=settings.ping,
        shutdown_event=stopping,
        shutdown_grace_period=settings.grace,
    )


class Story:
    """What a task tells, batch by batch as it comes from the engine."""

    def __init__(self, id: str, after: str | None, outlet: Outlet) -> None:
        self.id = id
        self.is_over = False
        self._after = after
        self._outlet = outlet

    async def following(self) -> list[ServerSentEvent]:
        """What comes next. With the engine away that is once it is back."""
        while True:
            try:
                return await self._following()
            except EngineError as error:
                log.warning("the events of %s wait for the engine: %s", self.id, error)
                await asyncio.sleep(AGAIN)

    async def _following(self) -> list[ServerSentEvent]:
        try:
            events = await self._outlet.ahold(next_events(self.id, self._after))
        except ResultUnknown:
            after, self._after = self._after, None  # what is still kept comes after what is gone
            self.is_over = after is None
            return [_gone(self.id, after)]
        if not isinstance(events[-1], Ended):
            self._after = events[-1].id
            return [*map(_written, events)]
        end = await _end(self.id, self._outlet)
        self.is_over = True
        return [*map(_written, events[:-1]), end]


async def _until(stopping: anyio.Event, story: Story) -> AsyncIterator[ServerSentEvent]:
    # Sent at once: proxies pass an answer on when its first bytes have come.
    yield ServerSentEvent(comment=f"task {story.id}", retry=RECONNECT_MS)
    stop = asyncio.ensure_future(stopping.wait())
    try:
        while not (story.is_over or stop.done()):
            following = asyncio.ensure_future(story.following())
            try:
                await asyncio.wait({following, stop}, return_when=asyncio.FIRST_COMPLETED)
                for event in following.result() if following.done() else ():
                    yield event
            finally:
                following.cancel()
    finally:
        stop.cancel()


def _written(event: TaskEvent) -> ServerSentEvent:
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
    return ServerSentEvent(encoded(data).decode(), event=kind, id=id)


async def _end(id: str, outlet: Outlet) -> ServerSentEvent:
    (record,) = await outlet.line.ask(Read([id]))
    if record is None:
        return _gone(id, None)
    try:
        told = encoded(await outlet.ahold(document_of(record, outlet)))
    except EngineError:
        raise
    except PolypoolError as error:
        told = encoded({"id": id, "task": record.task, "status": record.state, "error": _lost(error)})
    return ServerSentEvent(told.decode(), event="end", id=OVER)


def _lost(error: PolypoolError) -> dict[str, str]:
    return {"type": type(error).__name__, "message": str(error)}


def _gone(id: str, after: str | None) -> ServerSentEvent:
    """`is_over`: the task is no longer known; else events were lost, and what is still kept follows."""
    if after is None:
        detail = f"Task {id} is no longer known: its time to live is over, or it was purged."
        return ServerSentEvent(encoded({"is_over": True, "detail": detail}).decode(), event="gone", id=OVER)
    detail = f"Events after {after} are no longer kept. Those that are follow."
    return ServerSentEvent(encoded({"is_over": False, "after": after, "detail": detail}).decode(), event="gone")
