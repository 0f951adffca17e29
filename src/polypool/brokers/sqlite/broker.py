"""The Broker port over SQLite."""

import asyncio
from collections.abc import Callable, Sequence

from polypool.brokers.sqlite import membership
from polypool.brokers.sqlite.bell import Bell
from polypool.brokers.sqlite.cancel import cancel
from polypool.brokers.sqlite.database import Database
from polypool.brokers.sqlite.joins import seal
from polypool.brokers.sqlite.put import Put
from polypool.brokers.sqlite.rows import Lanes
from polypool.brokers.sqlite.settle import Settling
from polypool.brokers.sqlite.take import Claim, give_back
from polypool.brokers.sqlite.transaction import Ring, query_json
from polypool.brokers.sqlite.watch import Watch
from polypool.brokers.stored import encoded
from polypool.core.message import Delivery, Lane, Message
from polypool.core.outcome import Settlement
from polypool.core.port import Traits
from polypool.core.report import Heartbeat, Orders

PURGED_AT_ONCE = 500


class SqliteBroker:
    """Moves messages."""

    traits = Traits(transactions=True)

    def __init__(self, database: Database, bell: Bell, watch: Watch, clock: Callable[[], float]) -> None:
        self._database = database
        self._bell = bell
        self._watch = watch
        self._clock = clock
        self._lanes = Lanes()
        self._told: dict[str, frozenset[str]] = {}
        self._purging: asyncio.Task[None] | None = None

    async def put(self, messages: Sequence[Message]) -> list[bool]:
        return await Put(self._lanes, messages, encoded(messages, self.traits), self._clock()).run(self._database)

    async def take(self, lanes: Sequence[Lane], limit: int, worker: str, wait: float) -> list[Delivery]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        while True:
            count = self._bell.count(Ring.WORK)
            now = self._clock()
            claim = Claim(self._lanes, lanes, limit, worker, now)
            taken = await self._database.write(
                claim.change, claim.look, undo=lambda taken: give_back(self._database, taken)
            )
            left = deadline - loop.time()
            if taken.picked or left <= 0:
                return taken.deliveries(now)
            if taken.due is not None:
                left = min(left, max(taken.due - now, 0.0))
            await self._bell.after(Ring.WORK, count, left)

    async def beat(self, heartbeat: Heartbeat, wait: float = 0.0) -> Orders:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        now, name = self._clock(), heartbeat.worker
        count = self._bell.count(Ring.ORDERS)
        is_fenced, ids = await self._database.write(lambda transaction: membership.beat(transaction, heartbeat, now))
        self._purge()
        if is_fenced or heartbeat.is_leaving:
            self._told.pop(name, None)
            return Orders(is_fenced)
        told = self._told.get(name, frozenset())
        # What it has been told of takes a while to end; only something new is worth returning early for.
        while not set(ids) - told and (left := deadline - loop.time()) > 0:
            await self._bell.after(Ring.ORDERS, count, left)
            count = self._bell.count(Ring.ORDERS)
            ids = await self._database.read(lambda connection: query_json(connection, "orders", worker=name))
        self._told[name] = frozenset(ids)
        return Orders(cancel=tuple(ids))

    async def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        if not settlements:
            return []
        settling = Settling(self._lanes, settlements, self.traits, self._clock())
        return await self._database.write(settling.change)

    async def seal(self, id: str, places: int) -> bool:
        now = self._clock()
        return await self._database.write(lambda transaction: seal(transaction, id, places, now))

    async def cancel(self, ids: Sequence[str]) -> list[bool]:
        now = self._clock()
        return await self._database.write(lambda transaction: cancel(transaction, ids, now))

    async def open(self) -> None:
        await self._database.open()
        self._bell.hang()

    async def close(self) -> None:
        if self._purging is not None:
            self._purging.cancel()
            await asyncio.wait([self._purging])
        await self._watch.close()
        await self._database.close()
        self._bell.close()

    def _purge(self) -> None:
        """Forget what is over, in small transactions between the others."""
        if self._purging is None or self._purging.done():
            self._purging = asyncio.get_running_loop().create_task(self._purge_all())
            self._purging.add_done_callback(_forget_error)

    async def _purge_all(self) -> None:
        now = self._clock()
        while await self._database.read(lambda c: query_json(c, "over", now=now, limit=1)):
            await self._database.write(lambda t: membership.purge(t, now, PURGED_AT_ONCE))


def _forget_error(purging: asyncio.Task[None]) -> None:
    # Whatever kept it from purging is met by the next beat, which has somebody to tell.
    if not purging.cancelled():
        purging.exception()
