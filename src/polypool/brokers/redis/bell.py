"""Told by the server: one connection that listens on a channel of this process's own.

A message says `w` (there is work in a lane that a take of this process found empty), `d` (messages that were leased to
such a take), `o` (orders for a worker of this process) or `t` (news of tasks that this process watches, with their
records where these are short). Each is asked for in the same Lua call that found nothing, so none falls between. After
a broken connection everybody looks again.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from typing import Any

from redis import exceptions

from polypool.brokers.redis.dial import Dialer
from polypool.brokers.redis.fault import mapped
from polypool.brokers.redis.record import unframed
from polypool.core.error import EngineError

FIRST, LONGEST = 0.1, 2.0
"""Seconds between tries to listen again."""
SILENCE = 15.0
"""Seconds without a word after which the server is asked whether it is still there."""

logger = logging.getLogger("polypool.redis")

Brought = asyncio.Future[list[bytes] | None]
"""Time, then id and record of each message that was leased to a take; None: look again."""


class Bell:
    """Hears what the server tells this process, and wakes whom it concerns."""

    def __init__(self, dialer: Dialer, prefix: str) -> None:
        self.channel = f"{prefix}to:{os.urandom(6).hex()}"
        self.on_news: Callable[[Mapping[str, bytes] | None], None] = lambda _: None
        """Called with ids and records (empty: look for yourself), or None: anything may have happened."""
        self._dialer = dialer
        self._listening: asyncio.Task[None] | None = None
        self._is_heard = asyncio.Event()
        self._error: EngineError | None = None
        self._orders = asyncio.Event()
        self._takes: dict[int, Brought] = {}
        self._lost: asyncio.Future[Exception | None] | None = None
        self._heard_at = 0.0

    async def heard(self, within: float) -> str:
        """The channel, once the server knows that we listen; EngineUnreachable after `within` seconds."""
        if self._listening is None:
            self._listening = asyncio.get_running_loop().create_task(self._listen())
        if not self._is_heard.is_set():
            try:
                async with asyncio.timeout(within):
                    await self._is_heard.wait()
            except TimeoutError:
                raise self._error or mapped(exceptions.TimeoutError("no answer"), self._dialer.address) from None
        return self.channel

    def expect(self, take: int) -> Brought:
        """What will be brought to this take; expect it before asking, and `forget` it after."""
        brought: Brought = asyncio.get_running_loop().create_future()
        self._takes[take] = brought
        return brought

    def wake(self, take: int) -> None:
        """Have it look again."""
        self._bring(take, None)

    def forget(self, take: int) -> None:
        self._takes.pop(take, None)

    def orders(self) -> asyncio.Event:
        """What the next orders will set. Take it before looking."""
        return self._orders

    async def close(self) -> None:
        listening, self._listening = self._listening, None
        if listening is not None:
            listening.cancel()
            await asyncio.wait([listening])
        self._ring_all()

    async def _listen(self) -> None:
        delay = FIRST
        while True:
            try:
                await self._listen_once()
            except Exception as error:  # whatever it was: without this loop nobody is told of anything
                self._error = mapped(error, self._dialer.address)
                if isinstance(error, exceptions.MovedError):
                    self._dialer.move(error)
            if self._is_heard.is_set():
                delay = FIRST
                self._is_heard.clear()
                logger.info("no longer told of new work: %s; listening again", self._error)
                self._ring_all()
            await asyncio.sleep(delay)
            delay = min(delay * 2, LONGEST)

    async def _listen_once(self) -> None:
        """Until the connection is lost."""
        loop = asyncio.get_running_loop()
        lost = self._lost = loop.create_future()
        wire = await self._dialer.dial(self._hear, self._lose)
        try:
            wire.send(("SUBSCRIBE", self.channel))
            asked_at = self._heard_at = loop.time()
            while not lost.done():
                await asyncio.wait([lost], timeout=max(self._heard_at, asked_at) + SILENCE - loop.time())
                if self._heard_at < asked_at and asked_at + SILENCE <= loop.time():
                    raise exceptions.TimeoutError("the server fell silent")
                if not lost.done() and self._heard_at + SILENCE <= loop.time():
                    asked_at = loop.time()
                    wire.send(("PING",))
            raise lost.result() or exceptions.ConnectionError("the server hung up")
        finally:
            wire.close()

    def _lose(self, error: Exception | None) -> None:
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(error)

    def _hear(self, said: Any) -> None:
        self._heard_at = asyncio.get_running_loop().time()
        if isinstance(said, Exception):
            self._lose(said)
        elif said[0] == b"message":
            self._told(said[2])
        elif said[0] == b"subscribe":
            self._is_heard.set()
            self._ring_all()  # whatever was rung while nobody listened

    def _told(self, words: bytes) -> None:
        kind = words[:1]
        if kind == b"d":
            number, *brought = unframed(words[1:])
            self._bring(int(number), brought)
        elif kind == b"t":
            news = unframed(words[1:])
            self.on_news({id.decode(): stored for id, stored in zip(news[::2], news[1::2], strict=True)})
        elif kind == b"w":
            self._ring_takes()
        elif kind == b"o":
            self._ring_orders()

    def _bring(self, take: int, brought: list[bytes] | None) -> None:
        waiting = self._takes.get(take)
        if waiting is not None and not waiting.done():
            waiting.set_result(brought)

    def _ring_takes(self) -> None:
        for take in self._takes:
            self.wake(take)

    def _ring_orders(self) -> None:
        rung, self._orders = self._orders, asyncio.Event()
        rung.set()

    def _ring_all(self) -> None:
        self._ring_takes()
        self._ring_orders()
        self.on_news(None)
