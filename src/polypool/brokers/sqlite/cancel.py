"""Cancel: what waits ends at once, the holder of what runs is asked."""

from collections.abc import Sequence

from polypool.brokers.sqlite.joins import forget_marks, signal
from polypool.brokers.sqlite.rows import forget
from polypool.brokers.sqlite.transaction import Ring, Transaction, to_json
from polypool.brokers.stored import COPIES_REMEMBERED, Ending
from polypool.core.codec import decode_message, encode
from polypool.core.decide import signals, type_name
from polypool.core.join import Signal
from polypool.core.lifecycle import State
from polypool.core.message import Message
from polypool.core.outcome import Failure

_FAILURE = Failure(type_name("TaskCancelled"), "cancelled")

Row = tuple[int, str, bytes]
"""Of a message to be cancelled: its seq, state and body."""


def cancel(transaction: Transaction, ids: Sequence[str], now: float) -> list[bool]:
    """False for what had ended or is unknown."""
    found: dict[str, Row] = {
        id: (seq, state, body) for id, seq, state, body in transaction.rows("waiting", ids=to_json(list(ids)))
    }
    running = [seq for seq, state, _ in found.values() if state == State.RUNNING]
    ending = [seq for seq, state, _ in found.values() if state != State.RUNNING]
    transaction.run("remember_gone", seqs=to_json(ending), until=now + COPIES_REMEMBERED)
    forget_marks(transaction, (seq for seq, state, _ in found.values() if state == "waiting"))
    _end_all(transaction, found, now)
    if running:
        transaction.run("flag", seqs=to_json(running))
        transaction.rings.add(Ring.ORDERS)
    return [id in found for id in ids]


def _end_all(transaction: Transaction, found: dict[str, Row], now: float) -> None:
    """End what waits, one after the other. What one of them drops before its turn comes is found no more."""
    told: list[Signal] = []
    receivers: set[str] = set()
    for id, (seq, state, body) in list(found.items()):
        if state == State.RUNNING:
            continue
        if id in receivers:
            for dropped in signal(transaction, told, now):
                found.pop(dropped, None)
            told, receivers = [], set()
        if id in found:
            message, _ = decode_message(body, id)
            _end(transaction, seq, message, now)
            more = signals(message, State.CANCELLED, None)
            told += more
            receivers.update(one.id for one in more)
    signal(transaction, told, now)


def _end(transaction: Transaction, seq: int, message: Message, now: float) -> None:
    transaction.rings.add(Ring.RESULTS)
    if message.policy.result_ttl <= 0:
        forget(transaction, to_json([seq]))
        return
    transaction.run(
        "end_waiting",
        seq=seq,
        state=State.CANCELLED,
        ending=encode(Ending(None, _FAILURE, now, None, message.attempt, message.sent_at, message.root)),
        keep_until=now + message.policy.result_ttl,
        keeps_body=message.flow is not None and message.flow.keeps_body,
        change=transaction.change,
    )
