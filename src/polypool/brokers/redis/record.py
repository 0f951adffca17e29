"""How messages and endings stand in a key: the Python side of lua/record.lua."""

import struct
from typing import NamedTuple

import msgspec

from polypool.brokers.redis.wire import Word
from polypool.core.codec import decode_message, encode
from polypool.core.decide import type_name
from polypool.core.event import Record
from polypool.core.lifecycle import State
from polypool.core.message import Delivery, Lane, Message
from polypool.core.outcome import Ended, Failure, Settlement, Usage
from polypool.core.report import TaskView

_HEADER = struct.Struct(">cBhIQIIIddI")
_TAKEN = struct.Struct(">xB2xIQII20xI")
_FENCE = struct.Struct(">QI")
_REST = struct.Struct(">ddI")
_FRAME = struct.Struct(">I")
LENGTH = _HEADER.size
BEGINNING = 1024
"""Bytes of a message that has not ended that are enough to see its state and its task's name."""

LETTERS = {
    State.QUEUED: "q",
    State.SCHEDULED: "s",
    State.RUNNING: "r",
    State.SUCCEEDED: "S",
    State.FAILED: "F",
    State.CANCELLED: "C",
}
DEAD = "D"
PARKED = "p"
"""Queued, but carried by another engine."""
WAITS = "w"
"""Scheduled, but waiting for other steps instead of its time."""
_STATES = {letter.encode(): state for state, letter in LETTERS.items()}
_STATES |= {DEAD.encode(): State.FAILED, PARKED.encode(): State.QUEUED, WAITS.encode(): State.SCHEDULED}
CANCELLED, TELLS = 1, 16


class Header(NamedTuple):
    """The fixed part; the names of lua/record.lua."""

    letter: bytes
    flags: int
    priority: int
    lane: int
    seq: int
    token: int
    deliveries: int
    worker: int
    due: float
    keep_until: float
    ending_length: int

    @property
    def state(self) -> State:
        return _STATES[self.letter]

    @property
    def is_dead(self) -> bool:
        return self.letter == b"D"


class Ending(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is kept of a message that ended, beside its header."""

    task: str
    value: bytes | None
    failure: Failure | None
    ended_at: float
    usage: Usage | None
    attempt: int
    sent_at: float
    queue: str
    pool: str
    root: str | None = None


_ending = msgspec.msgpack.Decoder(Ending)
_CANCELLED = Failure(type_name("TaskCancelled"), "cancelled")


def header(stored: bytes) -> Header:
    """A record's fixed part."""
    return Header._make(_HEADER.unpack_from(stored))


def record(id: str, stored: bytes) -> Record:
    """A record as its waiters see it; of one that has not ended the beginning is enough."""
    head = header(stored)
    if not head.state.is_final:
        return Record(id, head.state, _task_name(stored[LENGTH:]))
    kept = _ending.decode(stored[LENGTH : LENGTH + head.ending_length])
    return Record(id, head.state, kept.task, kept.value, kept.failure, kept.ended_at, kept.usage, head.is_dead)


def view(id: str, stored: bytes, lanes: dict[int, Lane], workers: dict[int, str]) -> TaskView:
    """A whole record as a person looks at it."""
    head = header(stored)
    body = stored[LENGTH + head.ending_length :]
    kept = _ending.decode(stored[LENGTH : LENGTH + head.ending_length]) if head.state.is_final else None
    is_waiting = head.letter == WAITS.encode()
    message = decode_message(body, id)[0] if body else None
    lane = lanes.get(head.lane, Lane("?", "?"))
    return TaskView(
        id,
        kept.task if kept else message.task if message else "?",
        head.state,
        lane.queue,
        lane.pool,
        head.priority,
        kept.attempt if kept else (message.attempt if message else 1) + max(head.deliveries - 1, 0),
        sent_at=kept.sent_at if kept else message.sent_at if message else 0.0,
        due=None if kept or is_waiting else head.due,
        worker=None if is_waiting else workers.get(head.worker),
        reason=(kept.failure.message if kept.failure else "") if kept and head.is_dead else None,
        args=message.args if message and (kept is None or head.is_dead) else b"",
        ended_at=kept.ended_at if kept else None,
        flow=message.flow if message else None,
        root=kept.root if kept else message.root if message else None,
    )


def ending(settlement: Settlement, ended: Ended) -> bytes:
    """What is to be kept of a run's end."""
    delivery = settlement.delivery
    message = delivery.message
    return encode(
        Ending(
            message.task,
            ended.value,
            ended.failure,
            settlement.at,
            ended.usage,
            delivery.attempt,
            message.sent_at,
            message.queue,
            message.pool,
            message.root,
        )
    )


def cancelled(message: Message, at: float) -> bytes:
    """What is to be kept of what a person cancelled before it ran."""
    return encode(
        Ending(
            message.task,
            None,
            _CANCELLED,
            at,
            None,
            message.attempt,
            message.sent_at,
            message.queue,
            message.pool,
            message.root,
        )
    )


def waits(message: Message) -> tuple[float, float]:
    """What stands in the header of a step that waits for others, as due and as the end of keeping."""
    return message.due_when_ready, float(message.flow.waits if message.flow else 0)


def stored_message(id: str, stored: bytes) -> Message:
    """The message in a whole record, or a label where it cannot be read."""
    return decode_message(stored[LENGTH + header(stored).ending_length :], id)[0]


def lane_name(lane: Lane) -> str:
    """How a lane is called in the engine."""
    return f"{lane.pool}:{lane.queue}"


def lane_named(name: bytes) -> Lane:
    pool, _, queue = name.decode().partition(":")
    return Lane(queue, pool)


class Words:
    """The arguments of put.lua and settle.lua: where messages go, each place once, then what refers to these places."""

    def __init__(self, now: float) -> None:
        self._now = now
        """Since when a message waits that does not say when it was sent."""
        self._fronts: dict[tuple[str, str, int, int], int] = {}
        self._words: list[Word] = []

    def add(self, *words: Word) -> None:
        self._words += words

    def message(self, message: Message, body: bytes) -> tuple[Word, ...]:
        """A message as `add_all` in line.lua reads it."""
        if message.is_waiting:
            return message.id, self.front(message), WAITS, _REST.pack(*waits(message), 0) + body
        due = message.due
        rest = _REST.pack((message.sent_at or self._now) if due is None else due, 0.0, 0) + body
        return message.id, self.front(message), "" if due is None else repr(due), rest

    def front(self, message: Message) -> int:
        """Where a message's lane, priority and flags stand in the list."""
        flags = TELLS if message.flow is not None and message.flow.then else 0
        return self._fronts.setdefault((message.pool, message.queue, message.priority, flags), len(self._fronts) + 1)

    def all(self) -> list[Word]:
        fronts: list[Word] = [len(self._fronts)]
        for pool, queue, priority, flags in self._fronts:
            fronts += (f"{pool}:{queue}", priority, flags)
        return fronts + self._words


def fence(delivery: Delivery) -> bytes:
    """What must still stand in the header for a settlement to be written."""
    return _FENCE.pack(delivery.handle, delivery.token)


def delivery(id: bytes, stored: bytes, now: float, lanes: dict[int, Lane]) -> Delivery:
    """A message as it was taken; `stored` is its record before that."""
    flags, lane_number, seq, token, deliveries, ending_length = _TAKEN.unpack_from(stored)
    body = stored[LENGTH + ending_length :]
    cause = stored[LENGTH : LENGTH + ending_length] or None
    message, defect = decode_message(body, id.decode())
    if defect is not None:
        lane = lanes[lane_number]
        message = msgspec.structs.replace(message, queue=lane.queue, pool=lane.pool)
    return Delivery(message, body, token + 1, deliveries + 1, now, seq, bool(flags & CANCELLED), defect, cause)


def unframed(data: bytes) -> list[bytes]:
    """Words that each are led by their length."""
    words, at = [], 0
    while at < len(data):
        start = at + 4
        at = start + _FRAME.unpack_from(data, at)[0]
        words.append(data[start:at])
    return words


def _task_name(body: bytes) -> str:
    """The second element of a MessagePack array whose first is a string; the rest may be missing."""
    try:
        at = 1 if body[0] & 0xF0 == 0x90 else 3
        _, at = _string(body, at)
        name, _ = _string(body, at)
    except (IndexError, UnicodeDecodeError):
        return "?"
    return name


def _string(body: bytes, at: int) -> tuple[str, int]:
    kind = body[at]
    if kind & 0xE0 == 0xA0:
        start, length = at + 1, kind & 0x1F
    elif kind in (0xD9, 0xDA, 0xDB):
        width = 1 << (kind - 0xD9)
        start, length = at + 1 + width, int.from_bytes(body[at + 1 : at + 1 + width], "big")
    else:
        raise IndexError(at)
    if start + length > len(body):
        raise IndexError(at)
    return body[start : start + length].decode(), start + length
