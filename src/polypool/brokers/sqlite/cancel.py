"""Cancel: what waits ends at once, the holder of what runs is asked."""

from collections.abc import Sequence

from polypool.brokers.sqlite.rows import forget
from polypool.brokers.sqlite.transaction import Ring, Transaction, to_json
from polypool.brokers.stored import COPIES_REMEMBERED, Ending
from polypool.core.codec import decode_message, encode
from polypool.core.decide import type_name
from polypool.core.lifecycle import State
from polypool.core.outcome import Failure

_FAILURE = Failure(type_name("TaskCancelled"), "cancelled")


def cancel(transaction: Transaction, ids: Sequence[str], now: float) -> list[bool]:
    """False for what had ended or is unknown."""
    found = {id: row for id, *row in transaction.rows("waiting", ids=to_json(list(ids)))}
    running = [seq for seq, state, _ in found.values() if state == State.RUNNING]
    ending = to_json([seq for seq, state, _ in found.values() if state != State.RUNNING])
    transaction.run("remember_gone", seqs=ending, until=now + COPIES_REMEMBERED)
    for id, (seq, state, body) in found.items():
        if state != State.RUNNING:
            _end(transaction, id, seq, body, now)
    if running:
        transaction.run("flag", seqs=to_json(running))
        transaction.rings.add(Ring.ORDERS)
    return [id in found for id in ids]


def _end(transaction: Transaction, id: str, seq: int, body: bytes, now: float) -> None:
    transaction.rings.add(Ring.RESULTS)
    message, _ = decode_message(body, id)
    if message.policy.result_ttl <= 0:
        forget(transaction, to_json([seq]))
        return
    ending = encode(Ending(None, _FAILURE, now, None, message.attempt, message.sent_at))
    keep_until = now + message.policy.result_ttl
    transaction.run(
        "end_waiting", seq=seq, state=State.CANCELLED, ending=ending, keep_until=keep_until, change=transaction.change
    )
