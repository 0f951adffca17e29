"""Claim messages for a worker: look without a lock, then pick and claim in one transaction."""

import sqlite3
from collections.abc import Sequence

import msgspec

from polypool.brokers.sqlite.rows import INLINE, Lanes
from polypool.brokers.sqlite.transaction import Ring, Transaction, query, to_json
from polypool.core.codec import decode_message
from polypool.core.message import Delivery, Lane

Picked = tuple[int, int, int, int, str | None]

_picked = msgspec.json.Decoder(list[Picked])


class Taken(msgspec.Struct, frozen=True):
    """What a try brought. `due`: when, without anybody's doing, another try may bring something."""

    deliveries: list[Delivery]
    due: float | None = None


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
        self._member, waiting, due, lease_ends = query(
            connection, "look", lanes=to_json(list(self._numbers)), worker=self._worker, now=self._now
        )
        if self._member is None:
            return Taken([])
        self._is_due = due is not None and due <= self._now
        self._is_abandoned = lease_ends <= self._now
        if self._is_due or self._is_abandoned or waiting != "[]":
            return None
        return Taken([], lease_ends if due is None else min(due, lease_ends))

    def change(self, transaction: Transaction) -> Taken:
        """Claim. What has come due and what dead workers held is put in line first."""
        if self._is_abandoned:
            reap(transaction, self._now)
        if self._is_due and transaction.run("promote", now=self._now):
            transaction.rings.add(Ring.WORK)  # others wait for other lanes
        deliveries: list[Delivery] = []
        for number, lane in self._numbers.items():
            if len(deliveries) >= self._limit:
                break
            row = transaction.row("pick", lane=number, number=self._limit - len(deliveries), inline=INLINE)
            deliveries += [self._delivery(transaction, lane, picked) for picked in _picked.decode(row[0])]
        if deliveries:
            seqs = to_json([delivery.handle for delivery in deliveries])
            transaction.run("claim", seqs=seqs, worker=self._member)
        return Taken(deliveries, self._now)

    def _delivery(self, transaction: Transaction, lane: Lane, picked: Picked) -> Delivery:
        seq, token, deliveries, is_cancelled, body = picked
        stored = bytes.fromhex(body) if body is not None else transaction.row("body", seq=seq)[0]
        message, defect = decode_message(stored)
        if defect is not None:
            [id] = transaction.row("id", seq=seq)
            message = msgspec.structs.replace(message, id=id, queue=lane.queue, pool=lane.pool)
        return Delivery(message, stored, token + 1, deliveries + 1, self._now, seq, bool(is_cancelled), defect)


def reap(transaction: Transaction, now: float) -> None:
    """Put back what workers held whose lease has ended."""
    workers = transaction.row("expired", now=now)[0]
    if workers != "[]":
        transaction.run("bury_workers", workers=workers)
        if transaction.run("put_back", workers=workers):
            transaction.rings.add(Ring.WORK)
