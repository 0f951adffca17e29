"""The Broker port over SQLite."""

import asyncio
from collections.abc import Callable, Sequence

from polypool.brokers.sqlite import membership
from polypool.brokers.sqlite.bell import Bell
from polypool.brokers.sqlite.cancel import cancel
from polypool.brokers.sqlite.database import Database
from polypool.brokers.sqlite.rows import Lanes, add
from polypool.brokers.sqlite.settle import Settling
from polypool.brokers.sqlite.take import Claim, Taken
from polypool.brokers.sqlite.transaction import Recount, Ring, Transaction, query_json, to_json
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
        if not messages:
            return []
        given = list(messages)
        bodies = encoded(given, self.traits)
        now = self._clock()
        is_careful = False

        def put(transaction: Transaction) -> list[bool]:
            nonlocal is_careful
            accepted = _unknown(transaction, given, now) if is_careful else [True] * len(given)
            chosen = [place for place, is_new in enumerate(accepted) if is_new]
            added = add(transaction, self._lanes, [given[p] for p in chosen], [bodies[p] for p in chosen], now)
            if added != len(chosen):
                is_careful = True
                raise Recount
            transaction.rings.add(Ring.WORK)
            return accepted

        return await self._database.write(put)

    async def take(self, lanes: Sequence[Lane], limit: int, worker: str, wait: float) -> list[Delivery]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        while True:
            count = self._bell.count(Ring.WORK)
            now = self._clock()
            claim = Claim(self._lanes, lanes, limit, worker, now)
            taken = await self._database.write(claim.change, claim.look, undo=self._give_back)
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

    def _give_back(self, taken: Taken) -> None:
        """Whoever asked for these has gone: they wait again, as if never taken."""
        if taken.picked:
            rows = to_json(taken.held)

            def give_back(transaction: Transaction) -> None:
                transaction.run("give_back", rows=rows)
                transaction.rings.add(Ring.WORK)

            self._database.write_soon(give_back)

    def _purge(self) -> None:
        """Forget what is over, in small transactions between the others."""
        if self._purging is None or self._purging.done():
            self._purging = asyncio.get_running_loop().create_task(self._purge_all())
            self._purging.add_done_callback(_forget_error)

    async def _purge_all(self) -> None:
        now = self._clock()
        while await self._database.read(lambda c: query_json(c, "over", now=now, limit=1)):
            await self._database.write(lambda t: membership.purge(t, now, PURGED_AT_ONCE))


def _unknown(transaction: Transaction, messages: list[Message], now: float) -> list[bool]:
    """Which of these are new; of two with the same id the first is."""
    ids = to_json([message.id for message in messages])
    # An ending whose time is over gives its id free, though it may not have been swept away yet.
    membership.forget(transaction, transaction.row("over_among", ids=ids, now=now)[0])
    known = set(transaction.json("known", ids=ids))
    new = []
    for message in messages:
        new.append(message.id not in known)
        known.add(message.id)
    return new


def _forget_error(purging: asyncio.Task[None]) -> None:
    # Whatever kept it from purging is met by the next beat, which has somebody to tell.
    if not purging.cancelled():
        purging.exception()
