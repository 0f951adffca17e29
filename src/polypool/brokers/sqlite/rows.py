"""How messages and endings stand in the table."""

import sqlite3

import msgspec

from polypool.brokers.sqlite.transaction import Packed, Transaction, query
from polypool.core.codec import encode
from polypool.core.error import MessageTooLarge
from polypool.core.event import Record
from polypool.core.lifecycle import State
from polypool.core.message import Lane, Message
from polypool.core.outcome import Failure, Usage
from polypool.core.port import Traits

INLINE = 32 * 1024
"""Bodies and endings up to so many bytes are read a batch at a time, larger ones one by one."""


class Ending(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is kept of a message that ended, beside its state."""

    value: bytes | None
    failure: Failure | None
    ended_at: float
    usage: Usage | None
    attempt: int
    sent_at: float


decode_ending = msgspec.msgpack.Decoder(Ending).decode


def record(id: str, state: str, task: str, is_dead: bool, ending: bytes | None) -> Record:
    """A row as its waiters see it."""
    if not ending:
        return Record(id, State(state), task)
    kept = decode_ending(ending)
    return Record(id, State(state), task, kept.value, kept.failure, kept.ended_at, kept.usage, is_dead)


def encoded(messages: list[Message], traits: Traits) -> list[bytes]:
    """Each message's body. MessageTooLarge where one is."""
    bodies = [encode(message) for message in messages]
    for message, body in zip(messages, bodies, strict=True):
        if len(body) > traits.max_message_bytes:
            raise MessageTooLarge(
                f"task {message.id} is {len(body)} bytes; this engine takes {traits.max_message_bytes}: "
                "send a reference to the data instead"
            )
    return bodies


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


def add(transaction: Transaction, lanes: Lanes, messages: list[Message], bodies: list[bytes], now: float) -> int:
    """Put messages; how many were new."""
    added, numbers = 0, dict[Lane, int]()
    packed = Packed()
    for message, body in zip(messages, bodies, strict=True):
        lane = message.lane
        if lane not in numbers:
            numbers[lane] = lanes.number(transaction, lane)
        due = message.due if message.due is not None else message.sent_at or now
        state = "scheduled" if message.due is not None and due > now else "queued"
        packed.add(message.id, message.task, numbers[lane], state, message.priority, due, blob=body)
        if packed.is_full:
            added += transaction.run("put", rows=packed.rows, bodies=packed.blob)
            packed = Packed()
    if len(packed):
        added += transaction.run("put", rows=packed.rows, bodies=packed.blob)
    return added
