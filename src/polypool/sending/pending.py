"""Pending: which of the tasks that a sender sent have not ended, so that it can hold back while they are too many."""

from collections.abc import Callable, Generator, Sequence
from itertools import islice
from time import monotonic
from typing import Any, NamedTuple, TypeVar

from polypool.core.ask import Ask, Await, Read
from polypool.core.error import EngineUnreachable
from polypool.core.event import Record
from polypool.core.lifecycle import State
from polypool.core.message import Message
from polypool.core.port import Answer, Line
from polypool.progress_bar import Meter

T = TypeVar("T")


class Pause(NamedTuple):
    """A wait for nothing but time."""

    seconds: float


Waits = Generator[Answer | Pause, Any, T]
"""What is waited for, one after the other. Written once; `bulk.blocking` and `bulk.awaiting` lend it a colour."""

WINDOW = 1_000
"""Tasks looked at with one ask."""
PARTS = 4
"""A batch is this part of what there may be: some are replaced while the others run."""
MARKS = 16
"""Tasks waited for first: those whose turn it is to end when there is room enough. A few are less work for the engine
than all, and one of them is enough to know that it is time to look at those before."""
FLOW_S = 0.1
"""Where a batch's worth does not end within this time, what has ended is replaced singly."""
SLICE_S = 1.0
PATIENCE_S = 30.0
"""What is waited for at first, and once it is known that nothing ends for now."""
AWAY_S = 60.0
"""How long an engine may be away: a sender that is held back may be at it for hours."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0


class Pending:
    """At most `most` tasks that have not ended, as far as is known: in fact they may be fewer, and never more.

    Waits are pushed by the engine. `on_end` is told of each task that ended; its record is None where nothing is known
    of it any more.
    """

    def __init__(
        self,
        line: Line,
        most: int,
        meter: Meter,
        on_end: Callable[[str, Record | None], None] | None = None,
    ) -> None:
        self.most = most
        self.running = 0
        """Of those last looked at, how many ran, and how many waited to be run."""
        self.queued = 0
        self._line = line
        self._meter = meter
        self._on_end = on_end
        self._open: dict[str, None] = {}
        self._is_silent = False

    def __len__(self) -> int:
        return len(self._open)

    @property
    def room(self) -> int:
        return self.most - len(self._open)

    @property
    def batch_count(self) -> int:
        return max(1, self.most // PARTS)

    @property
    def is_curious(self) -> bool:
        return False

    def add(self, batch: Sequence[Message]) -> None:
        """These are about to be sent."""
        self._open.update((message.id, None) for message in batch)

    def make_room(self, wanted: int) -> Waits[None]:
        """Wait until so many more may be sent; or fewer, if that takes long, but at least one. All that was added must
        be durable."""
        if self.room < wanted:
            yield from self.wait(wanted - self.room, FLOW_S)
        while self.room < 1:
            yield from self._wait_for_any()

    def wait(self, short: int, patience_s: float) -> Waits[bool]:
        """Wait for about so many to end, but not for long; whether any has."""
        before = len(self._open)
        marks = self._first(MARKS, from_place=short - 1)
        ended = yield from patiently(self._line, Await(marks, patience_s))
        yield from self.look(min(2 * short + MARKS, WINDOW) if ended else WINDOW)
        return len(self._open) < before

    def look(self, count: int = WINDOW) -> Waits[None]:
        """See which of the first so many have ended, without waiting for it."""
        ids = self._first(count)
        records: list[Record | None] = yield from patiently(self._line, Read(ids))
        self.running = self.queued = 0
        for id, record in zip(ids, records, strict=True):
            if record is None or record.state.is_final:
                self._end(id, record)
            elif record.state is State.RUNNING:
                self.running += 1
            else:
                self.queued += 1

    def why(self) -> str:
        """What is waited for, for people."""
        who = f"{len(self._open):,} have not ended"
        return f"waiting, {who}" if self.running else f"waiting for a worker, {who}"

    def _wait_for_any(self) -> Waits[None]:
        ids = self._first(WINDOW)
        is_all = len(ids) == len(self._open)
        patience_s = PATIENCE_S if is_all and self._is_silent else SLICE_S
        ended: list[Record] = yield from patiently(self._line, Await(ids, patience_s))
        for record in ended:
            self._end(record.id, record)
        self._is_silent = not ended
        if not ended:
            yield from self.look()
            self._meter.waits(self.why())
            # Should these take for ever, others may have ended meanwhile: it is their turn to be looked at.
            for id in ids:
                if id in self._open:
                    self._open[id] = self._open.pop(id)

    def _first(self, count: int, from_place: int = 0) -> list[str]:
        return list(islice(self._open, from_place, from_place + count))

    def _end(self, id: str, record: Record | None) -> None:
        del self._open[id]
        if self._on_end is not None:
            self._on_end(id, record)


def patiently(line: Line, ask: Ask) -> Waits[Any]:
    """Ask, and again for a minute while the engine is away. Only what may be asked twice."""
    pause_s, deadline = FIRST_PAUSE_S, 0.0
    while True:
        try:
            return (yield line.ask(ask))
        except EngineUnreachable:
            now = monotonic()
            deadline = deadline or now + AWAY_S
            if now + pause_s > deadline:
                raise
        yield Pause(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
