"""Settlements as statements: sorted by what becomes of the message, each kind written for the whole batch at once."""

from collections.abc import Sequence

from polypool.brokers.sqlite.joins import signal
from polypool.brokers.sqlite.rows import Lanes, add
from polypool.brokers.sqlite.transaction import Packed, Recount, Ring, Transaction, to_json
from polypool.brokers.stored import Ending, encoded
from polypool.core.codec import encode
from polypool.core.message import Message
from polypool.core.outcome import Again, Ended, Settlement
from polypool.core.port import Traits

Kept = tuple[str, float | None, str | None, bool]
"""What endings written together share: the state, until when they are kept, for dead letters the reason, and whether
the body is kept as well."""


class Settling:
    """A batch of settlements, on its way into the table."""

    def __init__(self, lanes: Lanes, settlements: Sequence[Settlement], traits: Traits, now: float) -> None:
        self._lanes = lanes
        self._settlements = settlements
        self._now = now
        self._is_careful = False
        self._follow_ups = [encoded(list(settlement.follow_ups), traits) for settlement in settlements]
        self._blobs = [_blob(settlement) for settlement in settlements]
        # Made on the loop: the thread that writes has enough to do.
        self._ends = self._pack_ends(range(len(settlements)))

    def change(self, transaction: Transaction) -> list[bool]:
        """Write them; False for each whose token is stale.

        Hopes that none is, which the count of changed rows shows. Otherwise Recount has all of it undone and this
        called again, to ask about each one first.
        """
        places = range(len(self._settlements))
        accepted = self._still_held(transaction) if self._is_careful else [True] * len(places)
        chosen = [place for place in places if accepted[place]]
        if self._write(transaction, chosen) != len(chosen):
            self._is_careful = True
            raise Recount
        messages: list[Message] = []
        bodies: list[bytes] = []
        for place in chosen:
            messages += self._settlements[place].follow_ups
            bodies += self._follow_ups[place]
        if messages:
            add(transaction, self._lanes, messages, bodies, self._now)
            transaction.rings.add(Ring.WORK)
        if signals := [one for place in chosen for one in self._settlements[place].signals]:
            signal(transaction, signals, self._now)
        return accepted

    def _still_held(self, transaction: Transaction) -> list[bool]:
        held = [_held(settlement) for settlement in self._settlements]
        left = {(seq, token) for seq, token in transaction.json("fence", rows=to_json(held))}
        accepted = []
        for one in held:
            accepted.append(one in left)
            left.discard(one)  # of two settlements of one delivery the first counts
        return accepted

    def _write(self, transaction: Transaction, places: Sequence[int]) -> int:
        """The count of rows that changed."""
        changed = sum(
            self._end(transaction, *ends) for ends in (self._pack_ends(places) if self._is_careful else self._ends)
        )
        agains, unkept = Packed(), []
        for place in places:
            next = self._settlements[place].next
            if isinstance(next, Again):
                held, blob = _held(self._settlements[place]), self._blobs[place]
                agains.add(*held, *self._again(transaction, next), blob=blob)
                if agains.is_full:
                    changed += self._repeat(transaction, agains)
                    agains = Packed()
            elif not _is_kept(next):
                unkept.append(_held(self._settlements[place]))
        return changed + self._repeat(transaction, agains) + self._end_unkept(transaction, unkept)

    def _pack_ends(self, places: Sequence[int]) -> list[tuple[Kept, str, bytes]]:
        """The endings at these places that are to be kept, as batches for `end.sql`."""
        full: list[tuple[Kept, str, bytes]] = []
        filling: dict[Kept, Packed] = {}
        for place in places:
            settlement = self._settlements[place]
            next = settlement.next
            if isinstance(next, Ended) and _is_kept(next):
                kept = self._kept(next)
                packed = filling.get(kept)
                if packed is None:
                    packed = filling[kept] = Packed()
                packed.add(*_held(settlement), blob=self._blobs[place])
                if packed.is_full:
                    full.append((kept, packed.rows, packed.blob))
                    del filling[kept]
        return full + [(kept, packed.rows, packed.blob) for kept, packed in filling.items()]

    def _kept(self, ended: Ended) -> Kept:
        if ended.dead:
            return ended.state, None, ended.failure.message if ended.failure else "", True
        return ended.state, self._now + ended.ttl, None, ended.keeps_body

    @staticmethod
    def _end(transaction: Transaction, kept: Kept, rows: str, endings: bytes) -> int:
        state, keep_until, reason, keeps_body = kept
        transaction.rings.add(Ring.RESULTS)
        return transaction.run(
            "end",
            rows=rows,
            endings=endings,
            state=state,
            keep_until=keep_until,
            reason=reason,
            keeps_body=keeps_body,
            change=transaction.change,
        )

    @staticmethod
    def _repeat(transaction: Transaction, agains: Packed) -> int:
        if not agains:
            return 0
        transaction.rings.add(Ring.WORK)
        return transaction.run("again", rows=agains.rows, bodies=agains.blob)

    @staticmethod
    def _end_unkept(transaction: Transaction, held: list[tuple[int, int]]) -> int:
        if not held:
            return 0
        transaction.rings.add(Ring.RESULTS)
        seqs = to_json([seq for seq, _ in held])
        changed = transaction.run("end_unkept", rows=to_json(held))
        transaction.run("forget_events", seqs=seqs)
        transaction.run("forget_trimmed", seqs=seqs)
        return changed

    def _again(self, transaction: Transaction, next: Again) -> tuple[object, ...]:
        is_later = next.due is not None and next.due > self._now
        state = "scheduled" if is_later else "queued"
        if next.message is None:
            return state, next.due, next.deliveries, None, None, None
        message = next.message
        lane = self._lanes.number(transaction, message.lane)
        if message.flow is not None and message.is_waiting:
            return "waiting", message.due_when_ready, next.deliveries, lane, message.priority, message.flow.waits
        return state, next.due, next.deliveries, lane, message.priority, None


def _is_kept(ended: Ended) -> bool:
    return ended.dead or ended.ttl > 0


def _held(settlement: Settlement) -> tuple[int, int]:
    return settlement.delivery.handle, settlement.delivery.token


def _blob(settlement: Settlement) -> bytes:
    next, delivery = settlement.next, settlement.delivery
    if isinstance(next, Ended):
        message = delivery.message
        ending = Ending(
            next.value, next.failure, settlement.at, next.usage, delivery.attempt, message.sent_at, message.root
        )
        return encode(ending)
    return encode(next.message) if next.message is not None else b""
