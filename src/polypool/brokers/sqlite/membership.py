"""Who works: heartbeats, leases, tallies, and what is over and can be forgotten."""

import msgspec

from polypool.brokers.sqlite.rows import forget
from polypool.brokers.sqlite.take import reap
from polypool.brokers.sqlite.transaction import Ring, Transaction, to_json
from polypool.core.codec import encode
from polypool.core.measure import Tally
from polypool.core.report import Heartbeat

REMEMBERED = 86_400.0
"""Seconds for which a dead worker is known as such."""

_tally = msgspec.msgpack.Decoder(Tally)


def beat(transaction: Transaction, heartbeat: Heartbeat, now: float) -> tuple[bool, list[str]]:
    """Renew a worker's lease and count what it measured.

    Returns whether its lease had ended, and which of the deliveries it holds are to be cancelled.
    """
    name, run = heartbeat.worker, f"{heartbeat.host} {heartbeat.pid} {heartbeat.started_at!r}"
    is_fenced = False
    member = transaction.row("member", worker=name)
    if member is not None:
        number, former_run, is_dead, lease_until = member
        is_fenced = former_run == run and bool(is_dead or lease_until <= now)
        if is_fenced or former_run != run:
            # An earlier process of this name held these, or this one no longer does.
            _put_back(transaction, number)
    if heartbeat.is_leaving:
        if member is not None:
            _put_back(transaction, member[0])
    else:
        kept = encode(msgspec.structs.replace(heartbeat, tallies=()))
        transaction.run("beat", worker=name, run=run, heartbeat=kept, lease_until=now + heartbeat.lease, now=now)
    if member is None or is_fenced:
        transaction.rings.add(Ring.WORK)  # its takes may have begun before it was known
    for tally in heartbeat.tallies:
        _count(transaction, tally)
    reap(transaction, now)
    transaction.run("leave", worker=name if heartbeat.is_leaving else None, before=now - REMEMBERED)
    return is_fenced, [] if heartbeat.is_leaving else transaction.json("orders", worker=name)


def purge(transaction: Transaction, now: float, limit: int) -> None:
    """Forget endings whose time to live is over, with their events."""
    forget(transaction, transaction.row("over", now=now, limit=limit)[0])
    transaction.run("forget_gone", now=now, limit=limit)


def _put_back(transaction: Transaction, worker: int) -> None:
    if transaction.run("put_back", workers=to_json([worker])):
        transaction.rings.add(Ring.WORK)


def _count(transaction: Transaction, tally: Tally) -> None:
    before = transaction.row("tallies", task=tally.task, pool=tally.pool)
    total = Tally(tally.task, tally.pool) if before is None else _tally.decode(before[0])
    total.merge(tally)
    transaction.run("count", task=tally.task, pool=tally.pool, body=encode(total))
