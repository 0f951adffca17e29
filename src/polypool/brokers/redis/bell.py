"""Told by the server: one connection that listens on a channel of this process's own.

A message says `w` (there is work in a lane that this process found empty), `o` (orders for a worker of this process) or
`t` and ids (news of tasks that this process watches). Each is asked for in the same Lua call that found nothing, so
none falls between. After a broken connection everybody looks again.
"""

import asyncio
import logging
import os
from collections.abc import Callable

import msgspec
from redis import exceptions

from polypool.brokers.redis.fault import mapped
from polypool.brokers.redis.link import AnyConnection, Dialer
from polypool.core.error import EngineError

FIRST, LONGEST = 0.1, 2.0
"""Seconds between tries to listen again."""
SILENCE = 15.0
"""Seconds without a word after which the server is asked whether it is still there."""

logger = logging.getLogger("polypool.redis")
_ids = msgspec.msgpack.Decoder(list[str])


class Bell:
    """Counts rings, so that whoever looked before a ring does not wait for it."""

    def __init__(self, dialer: Dialer, prefix: str) -> None:
        self.channel = f"{prefix}to:{os.urandom(6).hex()}"
        self.on_news: Callable[[list[str] | None], None] = lambda _: None
        """Called with ids, or None: anything may have happened."""
        self._dialer = dialer
        self._listening: asyncio.Task[None] | None = None
        self._is_heard = asyncio.Event()
        self._error: EngineError | None = None
        self._rings = {"w": asyncio.Event(), "o": asyncio.Event()}

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

    def ticket(self, kind: str) -> asyncio.Event:
        """What the next ring of this kind will set. Take it before looking."""
        return self._rings[kind]

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
            except (exceptions.RedisError, OSError, TimeoutError) as error:
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
        connection = await self._dialer.dial()
        try:
            await connection.send_command("SUBSCRIBE", self.channel)
            while True:
                said = await self._next(connection)
                if said[0] == b"subscribe":
                    self._is_heard.set()
                    self._ring_all()  # whatever was rung while nobody listened
                elif said[0] == b"message":
                    self._told(said[2])
        finally:
            await connection.disconnect(nowait=True)

    @staticmethod
    async def _next(connection: AnyConnection) -> list[bytes]:
        reading = asyncio.ensure_future(connection.read_response(disable_decoding=True))
        reading.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            done, _ = await asyncio.wait([reading], timeout=SILENCE)
            if not done:
                await connection.send_command("PING", check_health=False)
                done, _ = await asyncio.wait([reading], timeout=SILENCE)
            if not done:
                raise exceptions.TimeoutError("the server fell silent")
            said: list[bytes] = reading.result()
            return said
        finally:
            reading.cancel()

    def _told(self, words: bytes) -> None:
        kind = words[:1].decode()
        if kind == "t":
            self.on_news(_ids.decode(words[1:]))
        elif kind in self._rings:
            self._ring(kind)

    def _ring(self, kind: str) -> None:
        rung, self._rings[kind] = self._rings[kind], asyncio.Event()
        rung.set()

    def _ring_all(self) -> None:
        for kind in self._rings:
            self._ring(kind)
        self.on_news(None)
