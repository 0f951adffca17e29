"""Taker: brings due messages of one pool's lanes into that pool, never more than it can begin."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial

from polypool.core.message import Delivery, Lane
from polypool.core.port import Broker
from polypool.worker.backoff import until_reached

WAIT = 5.0
"""Seconds one take waits in the engine. Only how often an idle worker asks anew; a bell or a due time ends it early."""
LARGEST = 400
"""Messages one take brings at most: bounds the time a write transaction is held, and lets children begin while the next
ones are taken. Measured: 250 to 500 drain fastest."""
SETTLING = 0.002
"""Seconds a busy pool is left to finish more calls, so that takes come in batches and not one by one."""

logger = logging.getLogger("polypool.worker")


class Taker:
    """One loop for one pool kind (or for the lane of tasks that polypool places itself)."""

    def __init__(
        self,
        broker: Broker,
        worker: str,
        lanes: Sequence[Lane],
        free: Callable[[], int],
        start: Callable[[Sequence[Delivery]], None],
    ) -> None:
        self._broker = broker
        self._worker = worker
        self._lanes = list(lanes)
        self._free = free
        self._start = start
        self._room = asyncio.Event()
        self._taking: asyncio.Future[Sequence[Delivery]] | None = None
        self._is_stopping = False
        self._has_stopped = asyncio.Event()

    def notice_room(self) -> None:
        """A call ended; a slot may be free."""
        self._room.set()

    async def run(self) -> None:
        """Take until stopped."""
        try:
            while not self._is_stopping:
                self._room.clear()
                free = self._free()
                if free > 0:
                    await self._fill(min(free, LARGEST))
                else:
                    await self._room.wait()
                    await asyncio.sleep(SETTLING)
        finally:
            self._has_stopped.set()  # also when it broke, or whoever stops it would wait for ever

    async def stop(self) -> None:
        """Take no more; what was on its way is given back by the engine or has begun when this returns."""
        self._is_stopping = True
        self._room.set()
        if self._taking is not None:
            self._taking.cancel()
        await self._has_stopped.wait()

    async def _fill(self, limit: int) -> None:
        self._taking = asyncio.ensure_future(until_reached("take messages", partial(self._take, limit)))
        try:
            deliveries = await self._taking
        except asyncio.CancelledError:
            if self._is_stopping:
                return
            raise
        if deliveries:
            self._start(deliveries)
            # Let each queue be first in its turn, so that a full one does not starve the others.
            self._lanes.append(self._lanes.pop(0))

    async def _take(self, limit: int) -> Sequence[Delivery]:
        return await self._broker.take(self._lanes, limit, self._worker, WAIT)
