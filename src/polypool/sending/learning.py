"""Learning: a sender of chunks is told how long those took that ended, and held back so that it can learn."""

import sys
from collections.abc import Sequence
from time import monotonic

from polypool.canvas.pace import Pace
from polypool.core.event import Record
from polypool.core.lifecycle import State
from polypool.core.message import Message
from polypool.core.port import Line
from polypool.progress_bar import Meter
from polypool.sending.pending import Pending, Waits

LOOKS_EVERY_S = 0.25
"""While nothing keeps it waiting, the sender looks so often at what has ended."""
TELLS_AFTER_S = 1.0
PARTS = 8
"""A batch is at most this part of what may be under way: sizes are to follow what was learned."""


class Learning:
    """Which chunks have not ended, and what those took which have. `most`: never more than so many that have not.

    Where `may_wait` is false, inside a running task, it learns what it can on the way.
    """

    def __init__(self, line: Line, pace: Pace, meter: Meter, most: int | None, may_wait: bool) -> None:
        self._pace = pace
        self._meter = meter
        self._may_wait = may_wait
        self._pending = Pending(line, sys.maxsize if most is None else most, meter, self._heard)
        self._items: dict[str, int] = {}
        """Of each chunk that has not ended."""
        self._heard_at = self._looked_at = monotonic()

    @property
    def room(self) -> int:
        return self._limit - len(self._pending)

    @property
    def batch_count(self) -> int:
        return max(1, min(self._limit // PARTS, self._pending.batch_count))

    def add(self, batch: Sequence[Message]) -> None:
        if not self._items:
            self._heard_at = monotonic()
        for message in batch:
            items = self._items[message.id] = items_in(message)
            self._pace.took(items, len(message.args))
        self._pending.add(batch)

    def make_room(self, wanted: int) -> Waits[None]:
        """Wait until more may be sent, or until it is clear that there is nobody to learn from."""
        while self._holds_back and self.room < 1:
            try:
                has_heard = yield from self._pending.wait(min(wanted, self._limit) - self.room, LOOKS_EVERY_S)
            except TimeoutError:  # in a test that only captures what is sent
                self._may_wait = False
                return
            if not has_heard:
                self._nothing_ended()
        if self.room < 1:
            yield from self._pending.make_room(wanted)

    @property
    def is_curious(self) -> bool:
        return bool(self._items) and monotonic() - self._looked_at >= LOOKS_EVERY_S

    def look(self) -> Waits[None]:
        self._looked_at = monotonic()
        yield from self._pending.look()

    @property
    def _limit(self) -> int:
        """How many chunks may be under way."""
        return min(self._pending.most, self._pace.ahead) if self._holds_back else self._pending.most

    @property
    def _holds_back(self) -> bool:
        return self._may_wait and self._pace.waits

    def _nothing_ended(self) -> None:
        oldest = next(iter(self._items.values()), 1)
        silence_s = monotonic() - self._heard_at
        self._pace.silent(silence_s, self._pending.running, self._pending.queued, oldest)
        if silence_s >= TELLS_AFTER_S:
            self._meter.waits(self._pending.why())

    def _heard(self, id: str, record: Record | None) -> None:
        self._heard_at = monotonic()
        items = self._items.pop(id)
        if record is not None and record.state is State.SUCCEEDED and record.usage is not None:
            usage = record.usage
            self._pace.ended(items, usage.started_at, usage.wall, len(record.value or b""))
        elif record is not None and record.state is State.FAILED:
            self._pace.failed()


def items_in(message: Message) -> int:
    """For how many items a message runs its task. Read from the head of its MessagePack, `[[[item, …]], {}]`, so that
    no list of items need be built for it."""
    if message.each is None:
        return 1
    head = message.args[2:7]
    if head[:1] == b"\xdd":
        return int.from_bytes(head[1:5], "big")
    if head[:1] == b"\xdc":
        return int.from_bytes(head[1:3], "big")
    return head[0] & 0x0F if head and head[0] & 0xF0 == 0x90 else 1
