"""How messages and endings stand in the table."""

import sqlite3
from collections.abc import Iterator

from polypool.brokers.sqlite.transaction import Packed, Transaction, query, to_json
from polypool.core.message import Lane, Message

INLINE = 32 * 1024
"""Bodies and endings up to so many bytes are read a batch at a time, larger ones one by one."""


class Lanes:
    """The numbers of lanes, remembered once they are committed."""

    def __init__(self) -> None:
        self._numbers: dict[Lane, int] = {}

    def number(self, transaction: Transaction, lane: Lane) -> int:
        """A lane's number, given out now if it has none."""
        known = self._numbers.get(lane)
        if known is not None:
            return known
        [(number,)] = transaction.rows("lane", queue=lane.queue, pool=lane.pool)
        transaction.after_commit.append(lambda: self._numbers.__setitem__(lane, number))
        return int(number)

    def find(self, connection: sqlite3.Connection, lane: Lane) -> int | None:
        """A lane's number; None before its first use. Not within a transaction."""
        if lane not in self._numbers:
            row = query(connection, "find_lane", queue=lane.queue, pool=lane.pool)
            if row is None:
                return None
            self._numbers[lane] = row[0]
        return self._numbers[lane]


def add(
    transaction: Transaction,
    lanes: Lanes,
    messages: list[Message],
    bodies: list[bytes],
    now: float,
    guard: float | None = None,
) -> int:
    """Put messages, or enroll them with a guard; how many were new."""
    numbers = {lane: lanes.number(transaction, lane) for lane in dict.fromkeys(message.lane for message in messages)}
    if some_wait(messages):
        name, more = "put_steps", {"guard": guard}
    else:
        name, more = ("put", {}) if guard is None else ("enroll", {"guard": guard})
    batches = packed(messages, bodies, numbers, now, "queued" if guard is None else "parked")
    return sum(transaction.run(name, rows=batch.rows, bodies=batch.blob, **more) for batch in batches)


def some_wait(messages: list[Message]) -> bool:
    """Whether there are steps among these that wait for others: `put_steps` takes such, and `put` does not."""
    return any(message.flow is not None and message.is_waiting for message in messages)


def unknown(transaction: Transaction, messages: list[Message], now: float) -> list[bool]:
    """Which of these are new; of two with the same id the first is."""
    ids = to_json([message.id for message in messages])
    # An ending whose time is over gives its id free, though it may not have been swept away yet.
    forget(transaction, transaction.row("over_among", ids=ids, now=now)[0])
    known = set(transaction.json("known", ids=ids))
    new = []
    for message in messages:
        new.append(message.id not in known)
        known.add(message.id)
    return new


def forget(transaction: Transaction, seqs: str) -> int:
    """Delete messages and their events; how many it was. `seqs` is JSON."""
    transaction.run("forget_events", seqs=seqs)
    transaction.run("forget_trimmed", seqs=seqs)
    return transaction.run("delete", seqs=seqs)


def packed(
    messages: list[Message], bodies: list[bytes], numbers: dict[Lane, int], now: float, state_if_due: str = "queued"
) -> Iterator[Packed]:
    """Messages as `put` takes them, or `put_steps` where some wait, with their lanes' numbers, a batch at a time."""
    batch = Packed()
    are_steps = some_wait(messages)
    for message, body in zip(messages, bodies, strict=True):
        more: tuple[int | None, ...] = (None,) if are_steps else ()
        due = message.due if message.due is not None else message.sent_at or now
        state = "scheduled" if message.due is not None and due > now else state_if_due
        if message.flow is not None and message.is_waiting:
            state, due, more = "waiting", message.due_when_ready, (message.flow.waits,)
        batch.add(message.id, message.task, numbers[message.lane], state, message.priority, due, *more, blob=body)
        if batch.is_full:
            yield batch
            batch = Packed()
    if len(batch):
        yield batch
