"""Four of the ports over the store: waiting, and the clock."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from polypool.brokers.ledger.kept import KeptLedger
from polypool.brokers.memory.claims import MemoryClaims
from polypool.brokers.memory.shelf import MemoryShelf
from polypool.brokers.memory.store import Store
from polypool.brokers.stored import encoded
from polypool.core.event import Event, Page, Record, cursor
from polypool.core.lifecycle import WAITING, State
from polypool.core.measure import Tally
from polypool.core.message import Delivery, Lane, Message
from polypool.core.outcome import Settlement
from polypool.core.port import Traits
from polypool.core.report import Action, Heartbeat, LaneCount, Orders, Search, TaskView, WorkerView

T = TypeVar("T")


class MemoryEngine:
    """Broker, Results, Bus and Inspector in one. For one event loop; what it holds ends with the process."""

    traits = Traits()
    place = "this process's memory"

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.store = Store()
        self._clock = clock
        self._changed = asyncio.Event()
        self.claims = MemoryClaims(self.store, self.traits, self._swept, self._ring)
        self.ledger = KeptLedger(MemoryShelf(clock))

    @property
    def broker(self) -> "MemoryEngine":
        return self

    results = bus = inspector = broker

    async def open(self) -> None:
        """Nothing to connect to."""

    async def close(self) -> None:
        self._ring()

    # Broker

    async def put(self, messages: Sequence[Message]) -> list[bool]:
        now = self._swept()
        bodies = encoded(messages, self.traits)
        self._ring()
        return [self.store.add(message, body, now) for message, body in zip(messages, bodies, strict=True)]

    async def take(self, lanes: Sequence[Lane], limit: int, worker: str, wait: float) -> list[Delivery]:
        def claim() -> list[Delivery] | None:
            return self.store.claim(lanes, limit, worker, self._swept()) or None

        return await self._until(claim, wait) or []

    async def beat(self, heartbeat: Heartbeat, wait: float = 0.0) -> Orders:
        now, name = self._swept(), heartbeat.worker
        is_fenced = self.store.register(heartbeat, now)
        for tally in heartbeat.tallies:
            self.store.count(tally)
        self.store.reap(now)
        if heartbeat.is_leaving:
            self.store.leave(name, now)
        self._ring()
        if is_fenced or heartbeat.is_leaving:
            return Orders(is_fenced)
        member = self.store.workers[name]

        def flagged() -> frozenset[str]:
            return frozenset(entry.id for entry in self.store.held_by(name) if entry.is_cancelled)

        await self._until(lambda: flagged() - member.told or None, wait)
        member.told = flagged()
        return Orders(cancel=tuple(member.told))

    async def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        now = self._swept()
        self._ring()
        return [self.store.settle(settlement, now) for settlement in settlements]

    async def seal(self, id: str, places: int) -> bool:
        now = self._swept()
        self._ring()
        return self.store.joins.seal(id, places, now)

    async def cancel(self, ids: Sequence[str]) -> list[bool]:
        now = self._swept()
        self._ring()
        return [self.store.cancel(id, now) for id in ids]

    # Results

    async def read(self, ids: Sequence[str]) -> list[Record | None]:
        self._swept()
        return [self.store.record(id) for id in ids]

    async def wait(self, ids: Sequence[str], wait: float) -> list[Record]:
        def ended() -> list[Record] | None:
            self._swept()
            known = [record for record in map(self.store.record, ids) if record is not None]
            done = [record for record in known if record.state.is_final]
            return done if done or not known else None

        return await self._until(ended, wait) or []

    # Bus

    async def append(self, events: Sequence[tuple[str, Event]]) -> None:
        for id, event in events:
            self.store.append(id, event)
        self._ring()

    async def follow(self, id: str, after: str | None, wait: float) -> Page:
        position = None if after is None else cursor(after)

        def page() -> Page | None:
            self._swept()
            return self.store.page(id, position)

        return await self._until(page, wait) or Page()

    # Inspector

    async def lanes(self) -> list[LaneCount]:
        self._swept()
        unended = [entry for entry in self.store.entries.values() if not entry.state.is_final]
        counts = []
        for lane in sorted({entry.lane for entry in unended}):
            here = [entry for entry in unended if entry.lane == lane]
            states = [entry.state for entry in here]
            waiting = [entry.due for entry in here if entry.state is State.QUEUED]
            queued, scheduled, running = map(states.count, (State.QUEUED, State.SCHEDULED, State.RUNNING))
            counts.append(LaneCount(*lane, queued, scheduled, running, min(waiting, default=None)))
        return counts

    async def workers(self) -> list[WorkerView]:
        now = self._swept()
        return [
            WorkerView(member.heartbeat, member.seen_at, member.is_alive(now), len(list(self.store.held_by(name))))
            for name, member in sorted(self.store.workers.items())
        ]

    async def tallies(self) -> list[Tally]:
        return [self.store.tallies[key] for key in sorted(self.store.tallies)]

    async def find(self, search: Search) -> list[TaskView]:
        self._swept()
        newest_first = sorted(self.store.matching(search), key=lambda entry: -entry.seq)
        return [entry.view() for entry in newest_first[: search.limit]]

    async def act(self, action: Action, search: Search) -> int:
        now, found = self._swept(), self.store.matching(search)
        if action == "requeue":
            found = [entry for entry in found if entry.reason is not None]
            for entry in found:
                self.store.requeue(entry, now)
        else:
            found = [entry for entry in found if search.dead or entry.state in WAITING]
            for entry in found:
                self.store.delete(entry, now)
        self._ring()
        return len(found)

    def _swept(self) -> float:
        """The time, with everything forgotten that is over by then."""
        now = self._clock()
        self.store.sweep(now)
        return now

    def _ring(self) -> None:
        """Let everybody who waits look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def _until(self, look: Callable[[], T | None], wait: float) -> T | None:
        """Look, and look again at each change, until there is something or `wait` seconds passed."""
        if wait <= 0:
            return look()  # needs no loop, so tests can run the engine step by step
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        while (found := look()) is None and (left := deadline - loop.time()) > 0:
            due = self.store.next_due()
            try:
                async with asyncio.timeout(left if due is None else min(left, max(due - self._clock(), 0.001))):
                    await self._changed.wait()
            except TimeoutError:
                continue
        return found
