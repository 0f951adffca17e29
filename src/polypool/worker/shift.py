"""Shift: the loops of a worker between the opening of its engine and its goodbye."""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable, Coroutine
from typing import Any

from polypool.core.manifest import Manifest
from polypool.core.port import Engine
from polypool.core.report import Heartbeat
from polypool.core.settings import WorkerSettings
from polypool.pools.crew import Crew
from polypool.worker.book import Book
from polypool.worker.execute import Execution, log_stale
from polypool.worker.keep import Keeper
from polypool.worker.lanes import Lanes
from polypool.worker.settle import Settler

LEAVING = 5.0
"""Seconds a leaving worker tries to write what ended, should the engine be away; its lease takes care of the rest."""

logger = logging.getLogger("polypool.worker")


class Shift:
    """Puts take, execute, settle and keep together over one open engine and takes them down in order."""

    def __init__(
        self, settings: WorkerSettings, worker: str, engine: Engine, crew: Crew, broke: Callable[[], None]
    ) -> None:
        self._settings = settings
        self._worker = worker
        self._place = engine.place
        self._broke = broke
        self._started_at = time.time()
        self._manifest: Manifest | None = None
        self._loops: set[asyncio.Task[None]] = set()
        book = Book()
        self._settler = Settler(engine, log_stale)
        self._execution = Execution(engine, self._settler, book, self._notice_room, worker, settings.heartbeat)
        self._keeper = Keeper(engine.broker, book, self._heartbeat, self._execution)
        self._lanes = Lanes(settings, worker, engine.broker, crew, self._execution, book)

    async def start(self, manifest: Manifest) -> None:
        """Say hello and open the pools. ConfigurationError when children cannot start; nothing was taken then."""
        self._manifest = manifest
        await self._keeper.beat()
        self._begin(self._keeper.run(self._settings.heartbeat))
        self._begin(self._settler.run())
        self._begin(self._execution.admission.run())
        await self._lanes.open(manifest, self._begin)
        self._begin(self._lanes.watch_memory())

    async def roll(self, manifest: Manifest) -> None:
        """Go on with the new code."""
        self._manifest = manifest
        self._lanes.roll()
        await self._lanes.open(manifest, self._begin)

    async def leave(self) -> bool:
        """In this order: take no more, let calls end, write what ended, say goodbye. Whether all of it was written."""
        logger.info("stopping: %d running, up to %g s for them", self._execution.held, self._settings.grace)
        await self._lanes.close(self._settings.grace)
        try:
            async with asyncio.timeout(LEAVING):
                await self._settler.drained()
                await self._execution.admission.drained()
                await self._keeper.beat(is_leaving=True)
        except TimeoutError:
            backlog = self._settler.backlog
            logger.warning("the engine is away: %d endings are not written, those tasks will run again", backlog)
            return False
        else:
            logger.info("stopped; nothing is held")
            return True
        finally:
            await self._end_loops()

    async def hurry(self) -> None:
        """Give back what runs, now."""
        await self._lanes.stop_pools(0)

    def describe(self) -> str:
        """What this worker offers, in a line."""
        manifest = self._manifest
        if manifest is None:
            return "not started"
        pools = ", ".join(f"{pool.kind}={pool.slots}" for pool in self._lanes.report())
        queues = ", ".join(self._settings.queues)
        tasks = f"{len(manifest.tasks)} task{'' if len(manifest.tasks) == 1 else 's'}"
        return f"{tasks} of {manifest.app} on {self._place}; queues {queues}; pools {pools}"

    def _begin(self, loop: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(loop)
        self._loops.add(task)
        task.add_done_callback(self._loop_ended)

    def _loop_ended(self, task: "asyncio.Task[None]") -> None:
        self._loops.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.critical("a loop of this worker broke, so it stops: %r", error, exc_info=error)
            self._broke()

    async def _end_loops(self) -> None:
        loops = list(self._loops)
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)

    def _notice_room(self, kind: str) -> None:
        self._lanes.notice_room(kind)

    def _heartbeat(self) -> Heartbeat:
        return Heartbeat(
            worker=self._worker,
            host=socket.gethostname(),
            pid=os.getpid(),
            started_at=self._started_at,
            lease=self._settings.heartbeat,
            app=self._manifest.app if self._manifest is not None else "",
            queues=self._settings.queues,
            pools=self._lanes.report(),
        )
