"""Who works: heartbeats, leases and tallies."""

import msgspec

from polypool.brokers.postgres.session import Connection
from polypool.brokers.postgres.take import reap
from polypool.core.codec import encode
from polypool.core.measure import Tally
from polypool.core.report import Heartbeat

REMEMBERED = 86_400.0
"""Seconds for which a dead worker is known as such."""

_tally = msgspec.msgpack.Decoder(Tally)


async def beat(connection: Connection, heartbeat: Heartbeat, now: float) -> tuple[bool, list[str]]:
    """Renew a worker's lease and count what it measured.

    Returns whether its lease had ended, and which of the deliveries it holds are to be cancelled.
    """
    name = heartbeat.worker
    async with connection.transaction():
        is_fenced = await _renew(connection, heartbeat, now)
        await _count(connection, heartbeat.tallies)
    await reap(connection, now)
    await connection.rows("leave", None, now - REMEMBERED)
    return is_fenced, [] if heartbeat.is_leaving else [id for (id,) in await connection.rows("orders", name)]


async def _renew(connection: Connection, heartbeat: Heartbeat, now: float) -> bool:
    name, run = heartbeat.worker, f"{heartbeat.host} {heartbeat.pid} {heartbeat.started_at!r}"
    member = await connection.row("member", name, now)
    is_fenced = False
    if member is not None:
        number, former_run, is_over = member
        is_fenced = former_run == run and is_over
        if is_fenced or former_run != run or heartbeat.is_leaving:
            # An earlier process of this name held these, or this one no longer does.
            await connection.rows("put_back", number)
    if heartbeat.is_leaving:
        await connection.rows("leave", name, now - REMEMBERED)
    else:
        kept = encode(msgspec.structs.replace(heartbeat, tallies=()))
        await connection.rows("beat", name, run, kept, now + heartbeat.lease, now)
    return is_fenced


async def _count(connection: Connection, tallies: tuple[Tally, ...]) -> None:
    if not tallies:
        return
    await connection.rows("lock_tallies")
    for tally in tallies:
        before = await connection.rows("tallies", tally.task, tally.pool)
        total = _tally.decode(before[0][0]) if before else Tally(tally.task, tally.pool)
        total.merge(tally)
        await connection.rows("count", tally.task, tally.pool, encode(total))
