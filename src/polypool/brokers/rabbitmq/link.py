"""Link: a connection that is there again after it was lost, and what has to be done each time it is."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from polypool.brokers.rabbitmq.check import Server
from polypool.brokers.rabbitmq.fault import mapped
from polypool.brokers.rabbitmq.options import Options
from polypool.brokers.rabbitmq.wire import Wire, dial
from polypool.core.error import EngineUnreachable

FIRST, LONGEST = 0.1, 5.0
"""Seconds between tries."""

logger = logging.getLogger("polypool.rabbitmq")


class Link:
    """Keeps one connection. `prepare` opens channels on a fresh one, `forget` hears that it is gone."""

    def __init__(
        self,
        options: Options,
        purpose: str,
        prepare: Callable[[Wire, Server], Awaitable[None]],
        forget: Callable[[], None],
    ) -> None:
        self._options = options
        self._purpose = purpose
        self._prepare = prepare
        self._forget = forget
        self._wire: Wire | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._is_up = asyncio.Event()
        self._is_closed = False

    @property
    def wire(self) -> Wire | None:
        """The connection, while it is good."""
        wire = self._wire
        return wire if wire is not None and wire.is_usable and self._is_up.is_set() else None

    async def open(self) -> None:
        """Connect, and from now on again and again. Raises where the first try fails."""
        if self._keeping is None:
            await self._connect()
            self.start()

    def start(self) -> None:
        """From now on connect and stay connected, without waiting for it."""
        if self._keeping is None and not self._is_closed:
            self._keeping = asyncio.get_running_loop().create_task(self._keep())

    async def up(self, within: float) -> Wire | None:
        """The connection, waiting for it a while."""
        if self.wire is None and within > 0:
            try:
                async with asyncio.timeout(within):
                    while self.wire is None:
                        await self._is_up.wait()
                        await asyncio.sleep(0)  # where the one that was lost is yet to be taken away
            except TimeoutError:
                return None
        return self.wire

    async def close(self) -> None:
        self._is_closed = True
        keeping, self._keeping = self._keeping, None
        if keeping is not None:
            keeping.cancel()
            await asyncio.wait([keeping])
        wire, self._wire = self._wire, None
        self._is_up.clear()
        if wire is not None:
            await wire.close()
            self._forget()

    async def _connect(self) -> None:
        if self._is_closed:
            raise EngineUnreachable(f"{self._options.address}: the engine was closed")
        wire: Wire | None = None
        try:
            wire = await dial(self._options, f"polypool {self._purpose}")
            server = Server.of(wire.properties, self._options.address)
            async with asyncio.timeout(self._options.timeout):
                await self._prepare(wire, server)
        except BaseException as error:
            if wire is not None:
                wire.drop(error)
            if isinstance(error, Exception):
                raise mapped(error, self._options.address) from error
            raise
        self._wire = wire
        self._is_up.set()

    async def _keep(self) -> None:
        while True:
            if self._wire is None:
                await self._connect_at_last()
            wire = self._wire
            assert wire is not None
            reason = await asyncio.shield(wire.lost)
            self._wire = None
            self._is_up.clear()
            self._forget()
            logger.warning(
                "lost the connection for %s: %s; what runs goes on, connecting again",
                self._purpose, mapped(reason, self._options.address),
            )  # fmt: skip

    async def _connect_at_last(self) -> None:
        delay, said = FIRST, ""
        while True:
            try:
                await self._connect()
            except Exception as error:
                if str(error) != said:
                    logger.warning("cannot connect for %s: %s; trying again until it works", self._purpose, error)
                said = str(error)
                await asyncio.sleep(delay)
                delay = min(delay * 2, LONGEST)
                continue
            if said:
                logger.info("connected for %s again", self._purpose)
            return
