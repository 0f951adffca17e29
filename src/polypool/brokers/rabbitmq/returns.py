"""Returns: what was taken for somebody who has gone is given back, uncounted."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from polypool.core.decide import decide
from polypool.core.error import EngineError
from polypool.core.message import Delivery
from polypool.core.outcome import Deferred, Settlement

logger = logging.getLogger("polypool.rabbitmq")


class Returns:
    """One broker's. What cannot be written is tried again by each beat: the worker that holds it may live for long."""

    def __init__(
        self, settle: Callable[[Sequence[Settlement]], Awaitable[Sequence[bool]]], clock: Callable[[], float]
    ) -> None:
        self._settle = settle
        self._clock = clock
        self._waiting: list[Settlement] = []
        self._under_way: set[asyncio.Future[Any]] = set()

    def add(self, deliveries: Sequence[Delivery]) -> None:
        self._waiting += [decide(one, Deferred(), self._clock(), random.random) for one in deliveries]
        task = asyncio.get_running_loop().create_task(self.write())
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    def add_later(self, work: "asyncio.Future[Any]") -> None:
        """The deliveries that this brings, if that is what it brings."""

        def brought(done: "asyncio.Future[Any]") -> None:
            self._under_way.discard(done)
            result = None if done.cancelled() or done.exception() is not None else done.result()
            if result and isinstance(result, list):
                self.add(result)

        self._under_way.add(work)
        work.add_done_callback(brought)

    async def write(self) -> None:
        """Try with all that waits."""
        if not self._waiting:
            return
        batch, self._waiting = self._waiting, []
        try:
            await self._settle(batch)
        except EngineError as error:
            self._waiting += batch
            logger.warning("%d messages could not be given back, the next beat tries again: %s", len(batch), error)

    async def finish(self) -> None:
        """Let what is under way be over."""
        while self._under_way:
            await asyncio.wait(set(self._under_way))
