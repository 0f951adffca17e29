"""Confirmer: tells the backend which messages RabbitMQ has; a little late, so that many go as one."""

import asyncio
import logging
from collections.abc import Sequence

from polypool.core.error import EngineError
from polypool.core.port import Claims

CONFIRM_WITHIN = 30.0
"""Seconds a sender has to publish what it enrolled. After that the backend hands it to whoever takes next."""
PILE_FOR = 0.1
"""Seconds to wait for more: nobody waits for these words, and what was claimed meanwhile needs none."""
AT_ONCE = 1000

logger = logging.getLogger("polypool.rabbitmq")


class Confirmer:
    """Group commit for confirms. What cannot be said is no loss: the message is then offered twice and run once."""

    def __init__(self, claims: Claims) -> None:
        self._claims = claims
        self._piled: list[str] = []
        self._saying: asyncio.Task[None] | None = None

    def add(self, ids: Sequence[str]) -> None:
        self._piled.extend(ids)
        if self._piled and (self._saying is None or self._saying.done()):
            self._saying = asyncio.get_running_loop().create_task(self._say_soon())

    async def finish(self) -> None:
        """Say what is left."""
        saying, self._saying = self._saying, None
        if saying is not None:
            saying.cancel()
            await asyncio.wait([saying])
        await self._say()

    async def _say_soon(self) -> None:
        while self._piled:
            await asyncio.sleep(PILE_FOR)
            await self._say()

    async def _say(self) -> None:
        while self._piled:
            ids, self._piled = self._piled[:AT_ONCE], self._piled[AT_ONCE:]
            try:
                await self._claims.confirm(ids)
            except EngineError as error:
                logger.debug("%d confirms could not be told: %s", len(ids), error)
