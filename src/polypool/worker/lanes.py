"""Lanes: a worker's pools, each with the loop that fills it from the queues."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Sequence
from functools import partial
from typing import Any

from msgspec.structs import replace

from polypool.core.manifest import Manifest
from polypool.core.message import Delivery, Lane
from polypool.core.port import Broker
from polypool.core.report import PoolReport
from polypool.core.settings import AUTO, PoolSpec, WorkerSettings
from polypool.pools.crew import Crew
from polypool.pools.pool import ChildPool, Limits
from polypool.worker.book import Book
from polypool.worker.execute import Execution
from polypool.worker.place import Placement
from polypool.worker.take import Taker

MEMORY_EVERY = 15.0
"""Seconds between two readings of the children's memory, which cost the kernel about a millisecond a child."""

Begin = Callable[[Coroutine[Any, Any, None]], None]

logger = logging.getLogger("polypool.worker")


class Lanes:
    """Starts the pools that the app's tasks need, and takes for each of them what waits in its lanes."""

    def __init__(
        self, settings: WorkerSettings, worker: str, broker: Broker, crew: Crew, execution: Execution, book: Book
    ) -> None:
        self._settings = settings
        self._worker = worker
        self._broker = broker
        self._crew = crew
        self._execution = execution
        self._pools: dict[str, ChildPool] = {}
        self._takers: dict[str, Taker] = {}
        self._placement = Placement(book, execution.start, self._pools)
        self._memory: dict[str, int | None] = {}

    async def open(self, manifest: Manifest, begin: Begin) -> None:
        """Start what this manifest needs and is not there yet. ConfigurationError when children cannot start."""
        self._execution.known_tasks = {spec.name: spec for spec in manifest.tasks}
        self._placement.learn(manifest)
        fresh = [self._start_pool(spec) for spec in self._needed(manifest) if spec.kind not in self._pools]
        for pool in fresh:
            await pool.ready(None)
        for pool in fresh:
            begin(self._fill(pool.kind, partial(self._free, pool), partial(self._execution.start, pool=pool)))
        if self._placement.kinds() and AUTO not in self._takers:
            begin(self._fill(AUTO, self._placement.free, self._placement.start))

    def roll(self) -> None:
        """New children for new code; the old ones leave when their calls have ended."""
        for pool in self._pools.values():
            pool.roll(self._settings.grace)

    def notice_room(self, kind: str) -> None:
        """A call ended in this pool, or a child of it became ready."""
        self._execution.admission.notice_room()
        for name in (kind, AUTO):
            taker = self._takers.get(name)
            if taker is not None:
                taker.notice_room()

    async def close(self, grace: float) -> None:
        """Take no more; let running calls end for `grace` seconds and give the rest back."""
        await asyncio.gather(*(taker.stop() for taker in self._takers.values()))
        self._execution.give_back_waiting()
        await self.stop_pools(grace)

    async def stop_pools(self, grace: float) -> None:
        """Again with a shorter grace: shortens the one under way."""
        await asyncio.gather(*(pool.stop(grace) for pool in self._pools.values()))

    def report(self) -> tuple[PoolReport, ...]:
        return tuple(replace(pool.report(), memory=self._memory.get(kind)) for kind, pool in self._pools.items())

    async def watch_memory(self) -> None:
        """Read the children's memory now and then; ends by being cancelled."""
        while True:
            for kind, pool in list(self._pools.items()):
                self._memory[kind] = await pool.memory()
            await asyncio.sleep(MEMORY_EVERY)

    def _free(self, pool: ChildPool) -> int:
        """Slots that nobody has been promised."""
        return pool.free() - self._execution.admission.asking(pool.kind)

    def _needed(self, manifest: Manifest) -> Iterable[PoolSpec]:
        named = {spec.kind: spec for spec in self._settings.pools}
        kinds = {spec.pool for spec in manifest.tasks} - {AUTO} | self._placement.kinds() | named.keys()
        return [named.get(kind) or PoolSpec.of(kind) for kind in sorted(kinds)]

    def _start_pool(self, spec: PoolSpec) -> ChildPool:
        limits = Limits(
            max_tasks_per_child=self._settings.max_tasks_per_child,
            max_memory_per_child=self._settings.max_memory_per_child,
            blocked_after=self._settings.blocked_after,
        )
        pool = self._crew.pool(spec, self._execution, limits, on_free=partial(self.notice_room, spec.kind))
        self._pools[spec.kind] = pool
        return pool

    def _fill(
        self, kind: str, free: Callable[[], int], start: Callable[[Sequence[Delivery]], None]
    ) -> Coroutine[Any, Any, None]:
        lanes = [Lane(queue, kind) for queue in self._settings.queues]
        taker = self._takers[kind] = Taker(self._broker, self._worker, lanes, free, start)
        return taker.run()
