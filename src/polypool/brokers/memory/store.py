"""Every change the memory engine can make, each one a plain function call: nothing here awaits or reads a clock."""

import heapq
import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence

import msgspec

from polypool.brokers.memory.entry import Entry, Member
from polypool.brokers.memory.joins import Joins
from polypool.brokers.stored import COPIES_REMEMBERED
from polypool.core.codec import decode_message, encode
from polypool.core.decide import signals, type_name
from polypool.core.event import Event, Page, Record
from polypool.core.lifecycle import State
from polypool.core.measure import Tally
from polypool.core.message import Delivery, Lane, Message
from polypool.core.outcome import Ended, Failure, Settlement
from polypool.core.report import Heartbeat, Search


class Store:
    """Messages, workers and tallies. `now` is always the caller's."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.workers: dict[str, Member] = {}
        self.tallies: dict[tuple[str, str], Tally] = {}
        self._gone: dict[str, float] = {}
        """Until when copies of messages that are over are known, the earliest first."""
        self._queued: defaultdict[Lane, list[tuple[int, int, str]]] = defaultdict(list)
        self._scheduled: list[tuple[float, int, str]] = []
        self._guarded: list[tuple[float, int, str]] = []
        self._ended: list[tuple[float, int, str]] = []
        self._numbers = itertools.count(1)
        self.joins = Joins(self.entries, self._enqueue)

    def add(self, message: Message, body: bytes, now: float) -> bool:
        if message.id in self.entries:
            return False
        due = message.sent_at or now if message.due is None else message.due
        entry = Entry(next(self._numbers), body, message, message.lane, State.QUEUED, due)
        self.entries[message.id] = entry
        self._stand(entry, message.due, now)
        return True

    def enroll(self, message: Message, body: bytes, guard: float, now: float) -> bool:
        """Add a message that another engine carries at once; what is due later is as any other."""
        is_new = self.add(message, body, now)
        entry = self.entries[message.id]
        if is_new and entry.state is State.QUEUED:
            self._park(entry, guard)
        return is_new

    def claim(self, lanes: Sequence[Lane], limit: int, worker: str, now: float) -> list[Delivery]:
        """Move due messages to a living worker, what dead ones held included."""
        member = self.workers.get(worker)
        if member is None or not member.is_alive(now):
            return []
        self.promote(now)
        self.reap(now)
        taken: list[Delivery] = []
        for lane in lanes:
            for entry in itertools.islice(self._pop(lane), max(limit - len(taken), 0)):
                taken.append(self._lease(entry, worker, now))
        return taken

    def claim_one(self, message: Message, body: bytes, worker: str, now: float) -> Delivery | None:
        """Lease this very message to a living worker. If that cannot be, it is left where `claim` finds it."""
        if message.id not in self.entries and message.id in self._gone:
            return None
        self.add(message, body, now)
        member = self.workers.get(worker)
        is_alive = member is not None and member.is_alive(now)
        self.promote(now)
        if is_alive:
            self.reap(now)
        entry = self.entries[message.id]
        if entry.state is not State.QUEUED:
            return None
        if not is_alive:
            self._unpark(entry, now)
            return None
        return self._lease(entry, worker, now)

    def confirm(self, id: str, now: float) -> None:
        self.promote(now)
        entry = self.entries.get(id)
        if entry is not None and entry.is_parked:
            entry.guard = None

    def recall(self, lane: Lane, now: float) -> int:
        """Back in line with what is carried for sure, as if nobody carried it."""
        self.promote(now)
        parked = (entry for entry in self.entries.values() if entry.is_parked and entry.lane == lane)
        lost = [entry for entry in parked if entry.guard is None]
        for entry in lost:
            self._unpark(entry, now)
        return len(lost)

    def next_due(self) -> float | None:
        """When, without anybody's doing, there may be something to claim: a delay, a lease or a guard ends."""
        times = [member.seen_at + member.heartbeat.lease for member in self.workers.values() if not member.is_dead]
        return min([*times, *(due for due, _, _ in self._scheduled[:1] + self._guarded[:1])], default=None)

    def settle(self, settlement: Settlement, now: float) -> bool:
        delivery, next = settlement.delivery, settlement.next
        entry = self.entries.get(delivery.id)
        if entry is None or not entry.is_of(delivery):
            return False
        if isinstance(next, Ended):
            self._end(entry, next, settlement.at)
        else:
            entry.deliveries = next.deliveries
            if next.message is not None:
                entry.message, entry.body, entry.lane = next.message, encode(next.message), next.message.lane
            due = None if entry.is_cancelled else next.due
            self._enqueue(entry, due, now) if next.message is None else self._stand(entry, due, now)
        for message in settlement.follow_ups:
            self.add(message, encode(message), now)
        self.joins.signal(settlement.signals, now)
        return True

    def cancel(self, id: str, now: float) -> bool:
        entry = self.entries.get(id)
        if entry is None or entry.state.is_final:
            return False
        if entry.state is State.RUNNING:
            entry.is_cancelled = True
        else:
            self._remember(entry, now)
            failure = Failure(type_name("TaskCancelled"), "cancelled")
            self._end(entry, Ended(State.CANCELLED, failure=failure, ttl=entry.message.policy.result_ttl), now)
            self.joins.signal(signals(entry.message, State.CANCELLED, None), now)
        return True

    def register(self, heartbeat: Heartbeat, now: float) -> bool:
        """Renew a lease; True where it had ended and the worker must let go of what it held."""
        known = self.workers.get(heartbeat.worker)
        is_same = known is not None and _run(known.heartbeat) == _run(heartbeat)
        is_fenced = known is not None and is_same and not known.is_alive(now)
        if is_fenced or not is_same:
            # An earlier process of this name held these; this one does not run them.
            self.put_back(heartbeat.worker, now)
        told = known.told if known is not None else frozenset()
        self.workers[heartbeat.worker] = Member(msgspec.structs.replace(heartbeat, tallies=()), now, told=told)
        return is_fenced

    def count(self, tally: Tally) -> None:
        self.tallies.setdefault((tally.task, tally.pool), Tally(tally.task, tally.pool)).merge(tally)

    def leave(self, worker: str, now: float) -> None:
        self.put_back(worker, now)
        del self.workers[worker]

    def reap(self, now: float) -> None:
        """Put back what workers held whose lease has ended."""
        for name, member in self.workers.items():
            if not member.is_dead and not member.is_alive(now):
                member.is_dead = True
                self.put_back(name, now)

    def put_back(self, worker: str, now: float) -> None:
        for entry in list(self.held_by(worker)):
            self._enqueue(entry, None, now)

    def held_by(self, worker: str) -> Iterator[Entry]:
        return (entry for entry in self.entries.values() if entry.worker == worker)

    def record(self, id: str) -> Record | None:
        return entry.record() if (entry := self.entries.get(id)) else None

    def append(self, id: str, event: Event) -> None:
        entry = self.entries.get(id)
        if entry is not None:
            entry.append(event)

    def page(self, id: str, after: tuple[int, int] | None) -> Page | None:
        """What follows a cursor; None while there is nothing."""
        entry = self.entries.get(id)
        if entry is None or (after is not None and after < entry.trimmed):
            return Page(is_gone=True)
        events = tuple(entry.events[at] for at in sorted(entry.events) if after is None or at > after)
        return Page(events, entry.ending) if events or entry.ending else None

    def matching(self, search: Search) -> list[Entry]:
        return [entry for entry in self.entries.values() if entry.matches(search)]

    def delete(self, entry: Entry, now: float) -> None:
        if self.entries.get(entry.id) is not entry:
            return  # dropped by the one that was deleted before it
        self._remember(entry, now)
        del self.entries[entry.id]
        if not entry.state.is_final:
            self.joins.signal(signals(entry.message, State.CANCELLED, None), now)

    def requeue(self, entry: Entry, now: float) -> None:
        """Give a dead letter its runs back."""
        entry.ending = entry.keep_until = entry.reason = entry.defect = entry.cause = None
        entry.is_cancelled, entry.deliveries = False, 0
        self._enqueue(entry, None, now)

    def sweep(self, now: float) -> None:
        """Forget endings whose time to live is over."""
        while self._ended and self._ended[0][0] <= now:
            keep_until, seq, id = heapq.heappop(self._ended)
            entry = self.entries.get(id)
            if entry and entry.seq == seq and entry.keep_until == keep_until:
                del self.entries[id]
        while self._gone and self._gone[id := next(iter(self._gone))] <= now:
            del self._gone[id]

    def promote(self, now: float) -> None:
        while self._scheduled and self._scheduled[0][0] <= now:
            due, seq, id = heapq.heappop(self._scheduled)
            entry = self.entries.get(id)
            if entry and entry.seq == seq and entry.is_for_later and entry.due == due:
                self._enqueue(entry, due, now)
        while self._guarded and self._guarded[0][0] <= now:
            guard, seq, id = heapq.heappop(self._guarded)
            entry = self.entries.get(id)
            if entry and entry.seq == seq and entry.is_parked and entry.guard == guard:
                self._unpark(entry, now)

    def _remember(self, entry: Entry, now: float) -> None:
        """A copy of it may come when its ending is long forgotten, and is not to run then."""
        if entry.has_copies:
            self._gone.pop(entry.id, None)
            self._gone[entry.id] = now + COPIES_REMEMBERED

    def _lease(self, entry: Entry, worker: str, now: float) -> Delivery:
        entry.state, entry.worker = State.RUNNING, worker
        entry.is_parked, entry.guard = False, None
        entry.token += 1
        entry.deliveries += 1
        if entry.defect is None:
            entry.message, entry.defect = decode_message(entry.body, entry.id)
        return entry.delivery(now)

    def _park(self, entry: Entry, guard: float) -> None:
        """Another engine carries it, which somebody is to confirm until then."""
        entry.state, entry.worker = State.QUEUED, None
        entry.is_parked, entry.guard, entry.has_copies = True, guard, True
        heapq.heappush(self._guarded, (guard, entry.seq, entry.id))

    def _unpark(self, entry: Entry, now: float) -> None:
        if entry.is_parked:
            self._enqueue(entry, None, now)

    def _stand(self, entry: Entry, due: float | None, now: float) -> None:
        """Where a message goes that is put, or waits again."""
        if entry.message.is_waiting and not entry.is_cancelled:
            self.joins.wait(entry)
        else:
            self._enqueue(entry, due, now)

    def _enqueue(self, entry: Entry, due: float | None, now: float) -> None:
        entry.worker = None
        entry.is_parked, entry.guard = False, None
        if due is not None and due > now:
            entry.state, entry.due = State.SCHEDULED, due
            heapq.heappush(self._scheduled, (due, entry.seq, entry.id))
        else:
            entry.state = State.QUEUED
            heapq.heappush(self._queued[entry.lane], (-entry.message.priority, entry.seq, entry.id))

    def _pop(self, lane: Lane) -> Iterator[Entry]:
        heap = self._queued[lane]
        while heap:
            _, seq, id = heapq.heappop(heap)
            entry = self.entries.get(id)
            # What was cancelled, purged or claimed while it waited left its place in the heap behind.
            if entry and entry.seq == seq and entry.is_in_line and entry.lane == lane:
                yield entry

    def _end(self, entry: Entry, ended: Ended, at: float) -> None:
        if ended.ttl <= 0 and not ended.dead:
            del self.entries[entry.id]
            return
        entry.ending = Record(
            entry.id, ended.state, entry.message.task, ended.value, ended.failure, at, ended.usage, ended.dead
        )
        entry.state, entry.worker = ended.state, None
        entry.is_parked, entry.guard = False, None
        entry.keep_until = None if ended.dead else at + ended.ttl
        entry.keeps_body = ended.dead or (entry.message.flow is not None and entry.message.flow.keeps_body)
        if ended.dead:
            entry.reason = ended.failure.message if ended.failure else ""
        else:
            heapq.heappush(self._ended, (at + ended.ttl, entry.seq, entry.id))


def _run(heartbeat: Heartbeat) -> tuple[float, int, str]:
    """What tells a worker's process from an earlier one of the same name."""
    return heartbeat.started_at, heartbeat.pid, heartbeat.host
