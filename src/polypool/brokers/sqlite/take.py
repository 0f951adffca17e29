"""Claim messages for a worker: look without a lock, then pick and claim in one transaction."""

import sqlite3
from collections.abc import Sequence

import msgspec

from polypool.brokers.sqlite.database import Database
from polypool.brokers.sqlite.rows import INLINE, Lanes
from polypool.brokers.sqlite.transaction import Ring, Transaction, query, to_json
from polypool.core.codec import decode_message
from polypool.core.message import Delivery, Lane


class Picked(msgspec.Struct, frozen=True, array_like=True):
    """A message as it stood before it was claimed; `body` in hex, None where it is too large for that; `cause` too."""

    seq: int
    id: str
    token: int
    deliveries: int
    is_cancelled: int
    body: str | None
    cause: str


_picked = msgspec.json.Decoder(list[Picked])


class Taken(msgspec.Struct, frozen=True):
    """What a try brought. `due`: when, without anybody's doing, another try may bring something."""

    picked: list[tuple[Lane, list[Picked]]]
    due: float | None = None
    large: dict[int, bytes] = {}
    """Bodies that were read one by one, by seq."""

    @property
    def held(self) -> list[tuple[int, int]]:
        """Each one's seq and the token under which it was claimed."""
        return [(one.seq, one.token + 1) for _, group in self.picked for one in group]

    def deliveries(self, now: float) -> list[Delivery]:
        """Them as deliveries. To be called on the loop, so that the next write need not wait for the decoding."""
        return [self._delivery(lane, one, now) for lane, group in self.picked for one in group]

    def _delivery(self, lane: Lane, one: Picked, now: float) -> Delivery:
        stored = bytes.fromhex(one.body) if one.body is not None else self.large[one.seq]
        message, defect = decode_message(stored)
        if defect is not None:
            message = msgspec.structs.replace(message, id=one.id, queue=lane.queue, pool=lane.pool)
        cause = bytes.fromhex(one.cause) if one.cause else None
        return Delivery(
            message, stored, one.token + 1, one.deliveries + 1, now, one.seq, bool(one.is_cancelled), defect, cause
        )


class Claim:
    """One try to take what is due in some lanes."""

    def __init__(self, lanes: Lanes, wanted: Sequence[Lane], limit: int, worker: str, now: float) -> None:
        self._lanes = lanes
        self._wanted = wanted if limit > 0 else ()
        self._limit = limit
        self._worker = worker
        self._now = now

    def look(self, connection: sqlite3.Connection) -> Taken | None:
        """What there is no need of a transaction for: nothing. None where there may be something."""
        numbers = {lane: self._lanes.find(connection, lane) for lane in self._wanted}
        self._numbers = {number: lane for lane, number in numbers.items() if number is not None}
        self._member, waiting, due, guard, lease_ends = query(
            connection, "look", lanes=to_json(list(self._numbers)), worker=self._worker, now=self._now
        )
        if self._member is None:
            return Taken([])
        self._is_due = due is not None and due <= self._now
        self._is_unguarded = guard is not None and guard <= self._now
        self._is_abandoned = lease_ends <= self._now
        if self._is_due or self._is_unguarded or self._is_abandoned or waiting != "[]":
            return None
        return Taken([], min(time for time in (due, guard, lease_ends) if time is not None))

    def change(self, transaction: Transaction) -> Taken:
        """Claim. What has come due and what dead workers held is put in line first."""
        if self._is_abandoned:
            reap(transaction, self._now)
        if self._is_due and transaction.run("promote", now=self._now):
            transaction.rings.add(Ring.WORK)  # others wait for other lanes
        if self._is_unguarded and transaction.run("unpark", now=self._now):
            transaction.rings.add(Ring.WORK)
        picked: list[tuple[Lane, list[Picked]]] = []
        left = self._limit
        for number, lane in self._numbers.items():
            if left <= 0:
                break
            found = _picked.decode(transaction.row("pick", lane=number, number=left, inline=INLINE)[0])
            if found:
                picked.append((lane, found))
                left -= len(found)
        every = [one for _, group in picked for one in group]
        if every:
            transaction.run("claim", seqs=to_json([one.seq for one in every]), worker=self._member)
        large = {one.seq: transaction.row("body", seq=one.seq)[0] for one in every if one.body is None}
        return Taken(picked, self._now, large)


def give_back(database: Database, taken: Taken) -> None:
    """Whoever asked for these has gone: they wait again, as if never taken."""
    if taken.picked:
        rows = to_json(taken.held)

        def give_back(transaction: Transaction) -> None:
            transaction.run("give_back", rows=rows)
            transaction.rings.add(Ring.WORK)

        database.write_soon(give_back)


def reap(transaction: Transaction, now: float) -> None:
    """Put back what workers held whose lease has ended."""
    workers = transaction.row("expired", now=now)[0]
    if workers != "[]":
        transaction.run("bury_workers", workers=workers)
        if transaction.run("put_back", workers=workers):
            transaction.rings.add(Ring.WORK)
