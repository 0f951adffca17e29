"""The Bus port over Redis: a stream a task."""

import asyncio
from collections.abc import Sequence

import msgspec

from polypool.brokers.redis.bell import Bell
from polypool.brokers.redis.link import Link
from polypool.brokers.redis.record import record
from polypool.brokers.redis.watch import Watch
from polypool.brokers.redis.wire import Word
from polypool.core.codec import encode
from polypool.core.event import Event, Page, cursor

EVENTS_KEPT = 1000
"""Per task; the oldest go first."""
AT_ONCE = 1000

_event = msgspec.msgpack.Decoder(Event)


class RedisBus:
    """Streams of events."""

    def __init__(self, link: Link, bell: Bell, watch: Watch, timeout: float) -> None:
        self._link = link
        self._bell = bell
        self._watch = watch
        self._timeout = timeout

    async def append(self, events: Sequence[tuple[str, Event]]) -> None:
        for start in range(0, len(events), AT_ONCE):
            words: list[Word] = [EVENTS_KEPT]
            for id, event in events[start : start + AT_ONCE]:
                words += (id, event.run, event.number, encode(event))
            await self._link.run("append", words)

    async def follow(self, id: str, after: str | None, wait: float) -> Page:
        position = None if after is None else cursor(after)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        ticket = self._watch.enter([id])
        try:
            while True:
                left = deadline - loop.time()
                channel = await self._bell.heard(self._timeout) if left > 0 else ""
                page = await self._page(id, position, channel)
                left = deadline - loop.time()
                if page is not None or left <= 0:
                    return page or Page()
                await ticket.next(left)
        finally:
            self._watch.leave(ticket)

    async def _page(self, id: str, after: tuple[int, int] | None, channel: str) -> Page | None:
        """What follows a cursor; None while there is nothing."""
        words = "" if after is None else f"{after[0]}-{after[1]}"
        found = await self._link.run("follow", [channel, id, words])
        if found is None:
            return Page(is_gone=True)
        trimmed, stored, *bodies = found
        if after is not None and after < cursor(trimmed.decode()):
            return Page(is_gone=True)
        events = tuple(_event.decode(body) for body in bodies)
        ended = record(id, stored) if stored else None
        return Page(events, ended) if events or ended else None
