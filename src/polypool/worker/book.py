"""Book: what this worker measured, per task and pool. Deltas travel with the heartbeat."""

from polypool.core.measure import Tally
from polypool.core.message import Delivery
from polypool.core.outcome import (
    Cancelled,
    Deferred,
    Done,
    Failed,
    Limited,
    Lost,
    Outcome,
    Priced,
    Replaced,
    Retry,
    TimedOut,
    Usage,
)

Key = tuple[str, str]


class Book:
    """What the next heartbeat is to report, what is on its way, and all that was reported, for placement."""

    def __init__(self) -> None:
        self._unreported: dict[Key, Tally] = {}
        self._in_flight: dict[Key, Tally] = {}
        self._reported: dict[Key, Tally] = {}
        self._number = 0
        self.is_in_doubt = False
        """Whether the last report may not have arrived."""

    def count(self, delivery: Delivery, pool: str, outcome: Outcome) -> None:
        """Enter how one run ended and what it took. What there was no run of is no run: steps that only gather, and
        those that are ended because of another."""
        flow = delivery.message.flow
        if (
            isinstance(outcome, Deferred | Priced | Limited)
            or delivery.cause is not None
            or (flow is not None and flow.gathers)
        ):
            return
        tally = self._tally(delivery.message.task, pool)
        usage: Usage | None = None
        match outcome:
            case Done() | Replaced():
                tally.succeeded += 1
                usage = outcome.usage
            case Retry():
                tally.retried += 1
                usage = outcome.usage
            case Cancelled():
                tally.cancelled += 1
                usage = outcome.usage
            case Failed() | TimedOut():
                tally.failed += 1
                usage = outcome.usage
            case Lost():
                tally.lost += 1
        if usage is not None:
            tally.add(usage, _waited(delivery, usage))

    def count_blocked(self, task: str, pool: str) -> None:
        self._tally(task, pool).blocked += 1

    def take_unreported(self) -> tuple[int, tuple[Tally, ...]]:
        """A report of what is new since the last one, with its number; the same one again while it is not known whether
        it arrived. Say afterwards what is known: `confirm` or `doubt`."""
        if not self.is_in_doubt:
            self._in_flight, self._unreported = self._unreported, {}
            self._number += 1
        return self._number, tuple(self._in_flight.values())

    def confirm(self) -> None:
        """The report arrived."""
        for key, tally in self._in_flight.items():
            _merge(self._reported, key, tally)
        self._in_flight = {}
        self.is_in_doubt = False

    def doubt(self) -> None:
        """The report may have arrived or not."""
        self.is_in_doubt = True

    def of_task(self, task: str) -> dict[str, Tally]:
        """Everything measured of one task here, by pool."""
        found: dict[str, Tally] = {}
        for book in (self._reported, self._in_flight, self._unreported):
            for (name, pool), tally in book.items():
                if name == task:
                    found.setdefault(pool, Tally(task, pool)).merge(tally)
        return found

    def _tally(self, task: str, pool: str) -> Tally:
        key = (task, pool)
        tally = self._unreported.get(key)
        if tally is None:
            tally = self._unreported[key] = Tally(task, pool)
        return tally


def _waited(delivery: Delivery, usage: Usage) -> float:
    """Seconds for which it was due and did not run. Of a step that waited for others nobody knows when that was over,
    and what it waited for them is no fault of this pool's: nothing."""
    message = delivery.message
    if message.is_waiting:
        return 0.0
    ready_at = message.sent_at if message.due is None else max(message.sent_at, message.due)
    return max(usage.started_at - ready_at, 0.0)


def _merge(book: dict[Key, Tally], key: Key, tally: Tally) -> None:
    if key in book:
        book[key].merge(tally)
    else:
        book[key] = tally
