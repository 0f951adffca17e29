"""Settler: writes what ended. Events first, then settlements, each time as one batch of what piled up."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from polypool.core.event import Event
from polypool.core.outcome import Settlement
from polypool.core.port import Engine
from polypool.worker.backoff import until_reached

BATCH = 400
"""Settlements a write at most, so that takes and sends get their turn in between."""

logger = logging.getLogger("polypool.worker")


class Settler:
    """Group commit: while one write is in flight the next batch piles up. An engine that is away loses nothing."""

    def __init__(self, engine: Engine, on_stale: Callable[[Settlement], None]) -> None:
        self._engine = engine
        self._on_stale = on_stale
        self._settlements: list[Settlement] = []
        self._events: list[tuple[str, Event]] = []
        self._asked: list[asyncio.Future[None]] = []
        self._has_work = asyncio.Event()
        self._is_idle = asyncio.Event()
        self._is_idle.set()

    def add(self, settlement: Settlement) -> None:
        self._settlements.append(settlement)
        if not self._has_work.is_set():
            self._wake()

    def add_events(self, id: str, events: Sequence[Event]) -> None:
        self._events.extend((id, event) for event in events)
        self._wake()

    async def events_written(self) -> None:
        """Wait until the engine has every event that was added so far."""
        asked = asyncio.get_running_loop().create_future()
        self._asked.append(asked)
        self._wake()
        await asked

    @property
    def backlog(self) -> int:
        """Settlements not yet handed to the engine."""
        return len(self._settlements)

    async def drained(self) -> None:
        """Wait until everything added so far is written."""
        await self._is_idle.wait()

    async def run(self) -> None:
        """Write for ever; ends by being cancelled."""
        while True:
            await self._has_work.wait()
            self._has_work.clear()
            while self._settlements or self._events or self._asked:
                await self._write_batch()
            self._is_idle.set()

    def _wake(self) -> None:
        self._has_work.set()
        self._is_idle.clear()

    async def _write_batch(self) -> None:
        events, self._events = self._events, []
        asked, self._asked = self._asked, []
        batch, self._settlements = self._settlements[:BATCH], self._settlements[BATCH:]
        if events:
            await until_reached("write events", lambda: self._engine.bus.append(events))
        for one in asked:
            if not one.done():
                one.set_result(None)
        if batch:
            accepted = await until_reached("settle what ended", lambda: self._engine.broker.settle(batch))
            if not all(accepted):
                self._report_stale(batch, accepted)

    def _report_stale(self, batch: Sequence[Settlement], accepted: Sequence[bool]) -> None:
        for settlement, is_accepted in zip(batch, accepted, strict=True):
            if not is_accepted:
                self._on_stale(settlement)
