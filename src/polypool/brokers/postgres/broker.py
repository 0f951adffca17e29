"""The Broker port over PostgreSQL."""

import asyncio
from collections.abc import Sequence

import msgspec

from polypool.brokers.postgres import membership
from polypool.brokers.postgres.bell import Bell, Ring
from polypool.brokers.postgres.cancel import cancel
from polypool.brokers.postgres.pile import Pile
from polypool.brokers.postgres.rows import Lanes, add, encoded
from polypool.brokers.postgres.session import Connection, Session
from polypool.brokers.postgres.settle import Written, settle, written
from polypool.brokers.postgres.take import Claim
from polypool.brokers.postgres.takes import Takes
from polypool.brokers.postgres.watch import Watch
from polypool.core.message import Delivery, Lane, Message
from polypool.core.outcome import Settlement
from polypool.core.port import Traits
from polypool.core.report import Heartbeat, Orders

PURGED_AT_ONCE = 1000
VACUUMED_AFTER = 10_000
"""Messages taken by this process."""

EXPECTED_AT_ONCE = 8
"""Sends of so few messages are those whose results are waited for one by one."""

Encoded = tuple[Message, bytes]


class Emptied(msgspec.Struct, frozen=True):
    """Lanes of which a take left nothing. `count`: how often it had rung before; `due`: when more may come unrung."""

    count: int
    due: float | None


class PostgresBroker:
    """Moves messages."""

    traits = Traits(transactions=True)

    def __init__(self, session: Session, bell: Bell, watch: Watch, takes: Takes) -> None:
        self._session = session
        self._bell = bell
        self._watch = watch
        self._takes = takes
        self._lanes = Lanes(session)
        self._emptied: dict[tuple[str, frozenset[Lane]], Emptied] = {}
        self._told: dict[str, frozenset[str]] = {}
        self._purging: asyncio.Task[None] | None = None
        self._taken = 0
        self._puts: Pile[Encoded, bool] = Pile(session, self._put, lambda pair: len(pair[1]))
        self._settles: Pile[Written, bool] = Pile(session, self._settle, lambda one: one.size)

    async def put(self, messages: Sequence[Message]) -> Sequence[bool]:
        ready = encoded(messages, self.traits)
        if len(messages) > EXPECTED_AT_ONCE or not self._bell.hears(Ring.RESULTS):
            return await self._puts.add(ready)
        with self._watch.expecting([message.id for message in messages]) as expected:
            accepted = await self._puts.add(ready)
            expected.confirm(accepted)
        return accepted

    async def take(self, lanes: Sequence[Lane], limit: int, worker: str, wait: float) -> list[Delivery]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        emptied = self._emptied.pop(key := (worker, frozenset(lanes)), None)
        if emptied is not None and self._bell.hears(Ring.WORK) and wait > 0:
            # The last take left nothing there: unless it has rung since, another look is a round trip for nothing.
            await self._rest(emptied, wait)
        while True:
            count = self._bell.count(Ring.WORK)
            now = self._session.clock()
            claim = Claim(self._lanes, lanes, limit, worker, now)
            taken = await self._takes.run(worker, claim.run)
            self._vacuum(len(taken.deliveries))
            if 0 < len(taken.deliveries) < limit:
                self._emptied[key] = Emptied(count, taken.due)
            left = deadline - loop.time()
            if taken.deliveries or left <= 0 or limit <= 0:
                return taken.deliveries
            if taken.due is not None:
                left = min(left, max(taken.due - now, 0.001))
            await self._bell.after(Ring.WORK, count, left)

    async def beat(self, heartbeat: Heartbeat, wait: float = 0.0) -> Orders:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        now, name = self._session.clock(), heartbeat.worker
        await self._takes.give_back(name)
        count = self._bell.count(Ring.ORDERS)
        is_fenced, ids = await self._session.run(lambda connection: membership.beat(connection, heartbeat, now))
        self._purge()
        if is_fenced or heartbeat.is_leaving:
            self._told.pop(name, None)
            return Orders(is_fenced)
        told = self._told.get(name, frozenset())
        # What it has been told of takes a while to end; only something new is worth returning early for.
        while not set(ids) - told and (left := deadline - loop.time()) > 0:
            await self._bell.after(Ring.ORDERS, count, left)
            count = self._bell.count(Ring.ORDERS)
            rows = await self._session.run(lambda connection: connection.rows("orders", name))
            ids = [id for (id,) in rows]
        self._told[name] = frozenset(ids)
        return Orders(cancel=tuple(ids))

    async def settle(self, settlements: Sequence[Settlement]) -> Sequence[bool]:
        return await self._settles.add([written(settlement, self.traits) for settlement in settlements])

    async def seal(self, id: str, places: int) -> bool:
        now = self._session.clock()
        return bool(await self._session.run(lambda connection: connection.rows("seal", id, places, now)))

    async def cancel(self, ids: Sequence[str]) -> list[bool]:
        if not ids:
            return []
        now = self._session.clock()
        return await self._session.run(lambda connection: cancel(connection, ids, now))

    async def open(self) -> None:
        await self._session.open()

    async def close(self) -> None:
        if self._purging is not None:
            self._purging.cancel()
            await asyncio.wait([self._purging])
        await self._bell.close()
        await self._session.close()

    async def _put(self, connection: Connection, given: list[Encoded]) -> list[bool]:
        numbers = await self._lanes.numbers(connection, (message.lane for message, _ in given))
        return await add(connection, numbers, given, self._session.clock())

    async def _settle(self, connection: Connection, given: list[Written]) -> list[bool]:
        return await settle(connection, self._lanes, given, self._session.clock())

    async def _rest(self, emptied: Emptied, wait: float) -> None:
        if emptied.due is not None:
            wait = min(wait, emptied.due - self._session.clock())
        await self._bell.after(Ring.WORK, emptied.count, wait)

    def _vacuum(self, taken: int) -> None:
        self._taken += taken
        if self._taken >= VACUUMED_AFTER and not self._session.is_pooled:  # there, every job is a transaction
            self._taken = 0
            self._session.begin(self._session.run(lambda connection: connection.rows("vacuum")))

    def _purge(self) -> None:
        """Forget what is over, in small statements between the others."""
        if self._purging is None or self._purging.done():
            self._purging = asyncio.get_running_loop().create_task(self._purge_all())
            self._purging.add_done_callback(_forget_error)

    async def _purge_all(self) -> None:
        now, count = self._session.clock(), PURGED_AT_ONCE
        while count >= PURGED_AT_ONCE:
            [(count,)] = await self._session.run(lambda connection: connection.rows("purge", now, PURGED_AT_ONCE))


def _forget_error(purging: asyncio.Task[None]) -> None:
    # Whatever kept it from purging is met by the next beat, which has somebody to tell.
    if not purging.cancelled():
        purging.exception()
