"""Keeper: one heartbeat for everything a worker holds, and the orders that come back with it."""

import asyncio
import logging
from collections.abc import Callable

from msgspec.structs import replace

from polypool.core.error import EngineError
from polypool.core.port import Broker
from polypool.core.report import Heartbeat, Orders
from polypool.worker.book import Book
from polypool.worker.execute import Execution

BEATS_PER_LEASE = 3
"""Two beats may be late or fail before the lease is over."""

logger = logging.getLogger("polypool.worker")


class Keeper:
    """Renews the worker's lease; a worker that was thought dead abandons what it held."""

    def __init__(
        self,
        broker: Broker,
        book: Book,
        heartbeat: Callable[[], Heartbeat],
        execution: Execution,
    ) -> None:
        self._broker = broker
        self._book = book
        self._heartbeat = heartbeat
        self._execution = execution

    async def beat(self, wait: float = 0.0, is_leaving: bool = False) -> Orders:
        """Send one heartbeat with what was measured since the last, and obey what comes back."""
        if is_leaving and self._book.is_in_doubt:
            await self.beat()  # the last one can carry only one report
        report, tallies = self._book.take_unreported()
        heartbeat = replace(self._heartbeat(), tallies=tallies, report=report, is_leaving=is_leaving)
        try:
            orders = await self._broker.beat(heartbeat, wait)
        except EngineError:
            self._book.doubt()
            raise
        self._book.confirm()
        if orders.is_fenced:
            logger.warning(
                "silent for longer than its lease of %g s: others run what this worker held", heartbeat.lease
            )
            self._execution.abandon()
        if orders.cancel:
            self._execution.cancel(orders.cancel)
        return orders

    async def run(self, lease: float) -> None:
        """Beat for ever; ends by being cancelled."""
        interval, is_failing = lease / BEATS_PER_LEASE, False
        while True:
            try:
                orders = await self.beat(wait=interval)
            except EngineError as error:
                if not is_failing:
                    logger.warning("cannot send the heartbeat: %s; work goes on, trying again", error)
                is_failing = True
                await asyncio.sleep(interval / 4)
                continue
            is_failing = False
            if orders.cancel or orders.is_fenced:
                # The same order comes back until the call is settled: leave it time to end.
                await asyncio.sleep(min(interval, 0.1))
