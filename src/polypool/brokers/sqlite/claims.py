"""The Claims port over SQLite."""

from collections.abc import Callable, Sequence

import msgspec

from polypool.brokers.sqlite.database import Database
from polypool.brokers.sqlite.put import Put
from polypool.brokers.sqlite.rows import INLINE, Lanes, add, unknown
from polypool.brokers.sqlite.take import Picked, Taken, give_back, reap
from polypool.brokers.sqlite.transaction import Ring, Transaction, to_json
from polypool.brokers.stored import encoded
from polypool.core.message import Delivery, Lane, Message
from polypool.core.port import Traits

_picked = msgspec.json.Decoder(list[tuple[tuple[str, str], Picked]])


class SqliteClaims:
    """State for an engine that only carries messages."""

    def __init__(self, database: Database, traits: Traits, clock: Callable[[], float]) -> None:
        self._database = database
        self._traits = traits
        self._clock = clock
        self._lanes = Lanes()

    async def enroll(self, messages: Sequence[Message], confirm_within: float) -> list[bool]:
        now = self._clock()
        bodies = encoded(messages, self._traits)
        return await Put(self._lanes, messages, bodies, now, now + confirm_within).run(self._database)

    async def confirm(self, ids: Sequence[str]) -> None:
        if not ids:
            return
        given, now = to_json(list(ids)), self._clock()
        await self._database.write(lambda transaction: transaction.run("confirm", ids=given, now=now))

    async def recall(self, lane: Lane) -> int:
        def recall(transaction: Transaction) -> int:
            count = transaction.run("recall", queue=lane.queue, pool=lane.pool)
            if count:
                transaction.rings.add(Ring.WORK)
            return count

        return await self._database.write(recall)

    async def claim(self, messages: Sequence[Message], worker: str) -> list[Delivery | None]:
        if not messages:
            return []
        now = self._clock()
        claim = _Claim(self._lanes, messages, encoded(messages, self._traits), worker, now)
        taken = await self._database.write(claim.change, undo=lambda taken: give_back(self._database, taken))
        claimed = {delivery.id: delivery for delivery in taken.deliveries(now)}
        return [claimed.pop(message.id, None) for message in messages]


class _Claim:
    """One batch of copies, on its way to a worker."""

    def __init__(self, lanes: Lanes, messages: Sequence[Message], bodies: list[bytes], worker: str, now: float) -> None:
        self._lanes = lanes
        self._messages = list(messages)
        self._bodies = bodies
        self._ids = to_json([message.id for message in messages])
        self._worker = worker
        self._now = now

    def change(self, transaction: Transaction) -> Taken:
        """Claim. What the engine does not know is put, what dead workers held is in line first."""
        worker, _, _, _, lease_ends = transaction.row("look", lanes="[]", worker=self._worker, now=self._now)
        if worker is not None and lease_ends <= self._now:
            reap(transaction, self._now)
        found = self._pick(transaction)
        if len(found) < len(self._messages) and self._put_unknown(transaction):
            found = self._pick(transaction)
        seqs = to_json([one.seq for _, one in found])
        if worker is None:
            if transaction.run("unpark_these", seqs=seqs):
                transaction.rings.add(Ring.WORK)
            return Taken([])
        transaction.run("claim", seqs=seqs, worker=worker)
        large = {one.seq: transaction.row("body", seq=one.seq)[0] for _, one in found if one.body is None}
        return Taken([(Lane(*lane), [one]) for lane, one in found], large=large)

    def _pick(self, transaction: Transaction) -> list[tuple[tuple[str, str], Picked]]:
        return _picked.decode(transaction.row("pick_these", ids=self._ids, now=self._now, inline=INLINE)[0])

    def _put_unknown(self, transaction: Transaction) -> bool:
        """What this engine lost; but not what ended before its copy came. Whether there was any."""
        new = unknown(transaction, self._messages, self._now)
        gone = set(transaction.json("known_gone", ids=self._ids, now=self._now)) if any(new) else set()
        lost = [place for place, is_new in enumerate(new) if is_new and self._messages[place].id not in gone]
        messages, bodies = [self._messages[p] for p in lost], [self._bodies[p] for p in lost]
        if added := add(transaction, self._lanes, messages, bodies, self._now):
            transaction.rings.add(Ring.WORK)
        return bool(added)
