"""Copies: what RabbitMQ has delivered on one channel and not yet been told of. No I/O here."""

import hashlib
from collections import deque
from collections.abc import Iterable, Sequence

from polypool.brokers.rabbitmq import frames
from polypool.core.codec import decode_message, encode
from polypool.core.message import Lane, Message

MOST_KEPT = 65_536
"""Bytes kept of a body that nobody can read."""


class Copy:
    """One delivered body; of the same message there may be others."""

    __slots__ = ("arrived", "body", "channel_life", "is_done", "lane", "tag")

    def __init__(self, lane: Lane, tag: int, body: bytes, arrived: float, channel_life: int) -> None:
        self.lane = lane
        self.tag = tag
        self.body = body
        self.arrived = arrived
        self.channel_life = channel_life
        self.is_done = False


class Copies:
    """The unacknowledged of a channel in the order they came: waiting here to be claimed, or claimed and running.

    A delivery tag means nothing on another channel. So each copy knows the life of the channel it came on, and what
    is done after the channel ended is done without a word to the server, which delivers those copies again.
    """

    def __init__(self, channel: int) -> None:
        self._channel = channel
        self._life = 0
        self._unacked: dict[int, Copy] = {}
        self._buffered: dict[Lane, deque[Copy]] = {}
        self._held: dict[str, Copy] = {}
        self._counts: dict[Lane, int] = {}

    def begin_anew(self) -> set[str]:
        """The channel is gone, and what it had delivered comes again; the ids of what is claimed of it."""
        self._life += 1
        claimed = {id for id, copy in self._held.items() if not copy.is_done}
        self._unacked.clear()
        self._buffered.clear()
        self._held.clear()
        self._counts.clear()
        return claimed

    def arrive(self, lane: Lane, tag: int, body: bytes, now: float) -> None:
        copy = Copy(lane, tag, body, now, self._life)
        self._unacked[tag] = copy
        self._counts[lane] = self._counts.get(lane, 0) + 1
        self._buffered.setdefault(lane, deque()).append(copy)

    def unacked(self, lane: Lane) -> int:
        return self._counts.get(lane, 0)

    def has_any(self, lanes: Iterable[Lane]) -> bool:
        return any(self._buffered.get(lane) for lane in lanes)

    def waiting(self, lane: Lane) -> int:
        return len(self._buffered.get(lane, ()))

    def pop(self, lanes: Sequence[Lane], limit: int) -> list[Copy]:
        """Up to `limit` to be claimed, lanes in the order given."""
        taken: list[Copy] = []
        for lane in lanes:
            buffered = self._buffered.get(lane)
            while buffered and len(taken) < limit:
                taken.append(buffered.popleft())
        return taken

    def put_back(self, copies: Sequence[Copy]) -> None:
        """They could not be claimed now; they come first the next time."""
        for copy in reversed(copies):
            if copy.channel_life == self._life:
                self._buffered.setdefault(copy.lane, deque()).appendleft(copy)

    def hold(self, id: str, copy: Copy) -> None:
        """Claimed: acknowledged once the message is settled."""
        self._held[id] = copy

    def release(self, ids: Iterable[str]) -> list[Copy]:
        """The copies these messages were claimed with, where there are any."""
        return [copy for id in ids if (copy := self._held.pop(id, None)) is not None]

    def older_than(self, moment: float) -> list[Copy]:
        """Claimed copies that came before a moment: they run for long."""
        old = {id: copy for id, copy in self._held.items() if copy.arrived < moment}
        return self.release(old)

    def done(self, copies: Iterable[Copy]) -> bytes:
        """The frames that acknowledge these: one for all at the front, one each for what is ahead of others."""
        ahead = []
        for copy in copies:
            if copy.channel_life == self._life and not copy.is_done:
                copy.is_done = True
                ahead.append(copy.tag)
                self._counts[copy.lane] -= 1
        front = []
        for tag, copy in self._unacked.items():
            if not copy.is_done:
                break
            front.append(tag)
        pieces = [frames.ack(self._channel, front[-1], len(front) > 1)] if front else []
        for tag in front:
            del self._unacked[tag]
        for tag in ahead:
            if self._unacked.pop(tag, None) is not None:
                pieces.append(frames.ack(self._channel, tag))
        return b"".join(pieces)

    def give_back(self, lane: Lane) -> bytes:
        """The frames that return what waits here of a lane, so that others get it."""
        buffered = self._buffered.pop(lane, ())
        for copy in buffered:
            copy.is_done = True
            del self._unacked[copy.tag]
            self._counts[lane] -= 1
        return b"".join(frames.requeue(self._channel, copy.tag) for copy in buffered)


def message_of(copy: Copy) -> tuple[Message, str | None]:
    """A copy's message; for what is none a label, under which it can go to the dead letters."""
    message, defect = decode_message(copy.body)
    if defect is None:
        return message, None
    id = f"undecodable-{hashlib.sha256(copy.body).hexdigest()[:24]}"
    args = encode([[copy.body[:MOST_KEPT]], {}])
    return Message(id=id, task="?", args=args, queue=copy.lane.queue, pool=copy.lane.pool), defect
