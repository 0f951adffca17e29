"""Queues: the name of each lane's, and seeing to it that it is there and fit."""

import asyncio
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from pamqp import commands

from polypool.brokers.rabbitmq.check import Server
from polypool.brokers.rabbitmq.fault import Closed, inequivalent
from polypool.brokers.rabbitmq.options import Options
from polypool.brokers.rabbitmq.wire import Wire
from polypool.core.error import ConfigurationError
from polypool.core.message import Lane

LONGEST_NAME = 255
NOT_FOUND, INEQUIVALENT = 404, 406


class Queues:
    """Declares queues on one channel of one connection, each once."""

    def __init__(self, options: Options, channel: int) -> None:
        self._options = options
        self._channel = channel
        self._declared: set[Lane] = set()
        self._lock = asyncio.Lock()
        self._server: Server | None = None

    def begin(self, server: Server) -> None:
        """A fresh connection: nothing is known to be there."""
        self._server = server
        self._declared.clear()

    def are_known(self, lanes: Iterable[Lane]) -> bool:
        return self._declared.issuperset(lanes)

    def forget(self, lane: Lane) -> None:
        """Somebody deleted it."""
        self._declared.discard(lane)

    def name(self, lane: Lane) -> str:
        """Of a lane's queue; ConfigurationError where AMQP has no room for it."""
        # Percent signs are not for the names of queues in AMQP.
        name = quote(f"{self._options.prefix}.{lane.queue}.{lane.pool}", safe="-_.:@,/").replace("%", "#")
        if len(name) > LONGEST_NAME:
            raise ConfigurationError(
                f"queue {lane.queue!r}: its name in RabbitMQ would have {len(name)} bytes; {LONGEST_NAME} is the most"
            )
        return name

    async def declare(self, wire: Wire, lanes: Iterable[Lane]) -> None:
        """Make what is missing. ConfigurationError where one is there and made otherwise."""
        async with self._lock:
            for lane in lanes:
                if lane not in self._declared:
                    await self._declare(wire, lane)
                    self._declared.add(lane)

    async def look(self, wire: Wire, lane: Lane) -> tuple[int, int]:
        """How much waits in a lane's queue, and how many consumers it has; the queue is made if need be."""
        async with self._lock:
            await self._declare(wire, lane)
            self._declared.add(lane)
            declared = await self._call(wire, commands.Queue.Declare(queue=self.name(lane), passive=True))
        return declared.message_count, declared.consumer_count

    async def purge(self, wire: Wire, lanes: Iterable[Lane]) -> None:
        """Throw away what waits in them; nothing where there is no such queue."""
        async with self._lock:
            for lane in lanes:
                try:
                    await self._call(wire, commands.Queue.Purge(queue=self.name(lane)))
                except Closed as error:
                    if error.code != NOT_FOUND:
                        raise

    async def _declare(self, wire: Wire, lane: Lane) -> None:
        assert self._server is not None
        name = self.name(lane)
        refusal: Closed | None = None
        for arguments in self._server.arguments(self._options.queue_type):
            try:
                await self._call(wire, commands.Queue.Declare(queue=name, durable=True, arguments=arguments))
                return
            except Closed as error:
                if error.code != INEQUIVALENT:
                    raise
                refusal = refusal or error
        assert refusal is not None
        raise inequivalent(name, self._options.vhost, refusal)

    async def _call(self, wire: Wire, method: object) -> Any:
        """A refusal ends the channel, so this one is for nothing else."""
        if not wire.is_open(self._channel):
            await wire.open_channel(self._channel)
        return await wire.call(self._channel, method)
