"""Claim messages for a worker; what time or a death has made due is put in line first."""

from collections.abc import Sequence

import msgspec

from polypool.brokers.postgres.rows import Lanes
from polypool.brokers.postgres.session import Connection
from polypool.core.codec import decode_message
from polypool.core.message import Delivery, Lane

PROMOTED_AT_ONCE = 2000

Claimed = tuple[int, int, int, bool, int, int, bytes | None, bytes]
"""A claimed row: seq, token, deliveries, is cancelled, lane, priority, cause, body."""


class Taken(msgspec.Struct, frozen=True):
    """What a try brought. `due`: when, without anybody's doing, another try may bring something."""

    deliveries: list[Delivery]
    due: float | None = None

    def __bool__(self) -> bool:
        return bool(self.deliveries)


class Claim:
    """One try to take what is due in some lanes."""

    def __init__(self, lanes: Lanes, wanted: Sequence[Lane], limit: int, worker: str, now: float) -> None:
        self._lanes = lanes
        self._wanted = wanted
        self._limit = limit
        self._worker = worker
        self._now = now

    async def run(self, connection: Connection, take: int) -> Taken:
        """`take`: its number, see takes.py."""
        numbers = await self._lanes.known(connection, self._wanted)
        taken = await self._claim(connection, numbers, False, take)
        if taken.due is not None and taken.due <= self._now:
            # What has come due and what dead workers held is put in line first.
            await promote(connection, self._now)
            await reap(connection, self._now)
            taken = await self._claim(connection, numbers, True, take)
        return taken

    async def _claim(self, connection: Connection, lanes: list[int], is_sure: bool, take: int) -> Taken:
        rows = await connection.rows("claim", self._worker, lanes, self._limit, self._now, is_sure, take)
        member, *times = rows[0][:3]
        if member is None:
            return Taken([])
        claimed = [row[3:] for row in map(tuple, rows) if row[3] is not None]
        turns = {number: turn for turn, number in enumerate(lanes)}
        claimed.sort(key=lambda row: (turns[row[4]], -row[5], row[0]))
        deliveries = [await delivery(connection, row, self._now) for row in claimed]
        return Taken(deliveries, min((time for time in times if time is not None), default=None))


async def delivery(connection: Connection, row: Claimed, now: float) -> Delivery:
    """A claimed row as a delivery."""
    seq, token, deliveries, is_cancelled, lane, _, cause, body = row
    message, defect = decode_message(body)
    if defect is not None:
        [(id, queue, pool)] = await connection.rows("label", seq, lane)
        message = msgspec.structs.replace(message, id=id, queue=queue, pool=pool)
    return Delivery(message, body, token, deliveries, now, seq, is_cancelled, defect, cause)


async def promote(connection: Connection, now: float) -> None:
    """Put in line what has come due."""
    for name in ("promote", "unpark"):
        while len(await connection.rows(name, now)) >= PROMOTED_AT_ONCE:
            pass


async def reap(connection: Connection, now: float) -> None:
    """Put back what workers held whose lease has ended."""
    await connection.rows("bury_workers", now)
    await connection.rows("put_back", None)
