"""A task's story as server-sent events of Starlette."""

import asyncio
import logging
from collections.abc import AsyncIterator

import anyio
from sse_starlette import EventSourceResponse, ServerSentEvent

from polypool.core.error import EngineError
from polypool.outlet import Outlet
from polypool.rest.settings import WebSettings
from polypool.rest.story import AGAIN, RECONNECT_MS, Story, Told

log = logging.getLogger("polypool.web")


def stream_of(story: Story, outlet: Outlet, settings: WebSettings) -> EventSourceResponse:
    """The answer: events until the task has ended, or the server stops and watchers are to come again."""
    stopping = anyio.Event()
    return EventSourceResponse(
        _until(stopping, story, outlet),
        ping=settings.ping,
        shutdown_event=stopping,
        shutdown_grace_period=settings.grace,
    )


async def _until(stopping: anyio.Event, story: Story, outlet: Outlet) -> AsyncIterator[ServerSentEvent]:
    # Sent at once: proxies pass an answer on when its first bytes have come.
    yield ServerSentEvent(comment=f"task {story.id}", retry=RECONNECT_MS)
    stop = asyncio.ensure_future(stopping.wait())
    try:
        while not (story.is_over or stop.done()):
            following = asyncio.ensure_future(_following(story, outlet))
            try:
                await asyncio.wait({following, stop}, return_when=asyncio.FIRST_COMPLETED)
                for told in following.result() if following.done() else ():
                    yield ServerSentEvent(told.data, event=told.event, id=told.id)
            finally:
                following.cancel()
    finally:
        stop.cancel()


async def _following(story: Story, outlet: Outlet) -> list[Told]:
    """With the engine away that is once it is back."""
    while True:
        try:
            return await outlet.ahold(story.following())
        except EngineError as error:
            log.warning("the events of %s wait for the engine: %s", story.id, error)
            await asyncio.sleep(AGAIN)
