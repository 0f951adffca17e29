"""What an engine is to do, in a page: the model that test_state_machine.py holds every engine against."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from polypool.core.join import NO_PLACE, OPEN, Next
from polypool.core.message import Delivery, Policy
from polypool.core.outcome import Cancelled, Dead, Deferred, Done, Lost, Outcome, Replaced, Retry

POLICY = Policy(max_retries=1, retry_backoff=4.0, retry_jitter=False, max_lost=2, result_ttl=64.0)

Because = tuple[str, str]
"""Why a step is only to be ended: how the one before it ended, and which that was."""
Lease = tuple[int, int, bool, Because | None]
"""Token, deliveries, is to be cancelled, why it is only to be ended."""


@dataclass
class Fact:
    """What the model knows of one message."""

    place: int
    priority: int
    state: str
    due: float = 0.0
    eta: float | None = None
    """Before when it may not run, though all it waits for is there."""
    countdown: float = 0.0
    waits: int | None = None
    """While it waits for other steps: for how many places."""
    marked: set[int] = field(default_factory=set)
    then: tuple[Next, ...] = ()
    because: Because | None = None
    token: int = 0
    deliveries: int = 0
    retries: int = 0
    holder: str | None = None
    is_parked: bool = False
    guard: float | None = None
    has_copies: bool = False
    is_cancelled: bool = False
    keep_until: float | None = None
    is_dead: bool = False

    def lease(self, worker: str) -> Lease:
        self.state, self.holder = "running", worker
        self.token, self.deliveries = self.token + 1, self.deliveries + 1
        return self.token, self.deliveries, self.is_cancelled, self.because

    def is_of(self, delivery: Delivery) -> bool:
        """Whether this delivery holds it; the id may be that of a later message by now."""
        return self.state == "running" and (self.place, self.token) == (delivery.message.sent_at, delivery.token)


@dataclass
class Model:
    facts: dict[str, Fact] = field(default_factory=dict)
    leases: dict[str, float] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    """Cancelled before copies of them came, perhaps forgotten since. A day is longer than any of these stories."""
    placed: int = 0

    def tidy(self, now: float) -> None:
        """What time alone brings about."""
        for fact in self.facts.values():
            if fact.state == "scheduled" and fact.waits is None and fact.due <= now:
                fact.state = "queued"
            if fact.guard is not None and fact.guard <= now:
                fact.is_parked, fact.guard = False, None
        self.facts = {id: f for id, f in self.facts.items() if f.keep_until is None or f.keep_until > now}

    def reap(self, now: float) -> None:
        for worker, until in self.leases.items():
            if until <= now:
                self.release(worker)

    def release(self, worker: str) -> None:
        for fact in self.facts.values():
            if fact.holder == worker:
                fact.state, fact.holder = "queued", None

    def waiting(self, worker: str, now: float) -> list[str]:
        """What this worker could take, in the order of a lane."""
        if self.leases.get(worker, 0.0) <= now:
            return []
        self.reap(now)
        found = [(-f.priority, f.place, id) for id, f in self.facts.items() if f.state == "queued" and not f.is_parked]
        return [id for *_, id in sorted(found)]

    def take(self, worker: str, limit: int, now: float) -> list[tuple[str, int, int, bool, Because | None]]:
        return [(id, *self.facts[id].lease(worker)) for id in self.waiting(worker, now)[:limit]]

    def put(self, id: str, fact: Fact, guard: float | None = None) -> bool:
        """`guard`: for what is parked and not due later."""
        if id in self.facts:
            return False
        self.facts[id] = fact
        if guard is not None and fact.state == "queued":
            fact.is_parked, fact.guard, fact.has_copies = True, guard, True
        return True

    def claim(self, id: str, fact: Fact, worker: str, now: float) -> Lease | None:
        """`fact`: what it is if it is unknown."""
        if id not in self.facts and id in self.gone:
            return None
        self.put(id, fact)
        fact = self.facts[id]
        is_alive = self.leases.get(worker, 0.0) > now
        if is_alive:
            self.reap(now)
        if fact.state != "queued":
            return None
        fact.is_parked, fact.guard = False, None
        return fact.lease(worker) if is_alive else None

    def confirm(self, id: str) -> None:
        fact = self.facts.get(id)
        if fact is not None:
            fact.guard = None

    def recall(self) -> int:
        lost = [
            fact for fact in self.facts.values() if fact.state == "queued" and fact.is_parked and fact.guard is None
        ]
        for fact in lost:
            fact.is_parked = False
        return len(lost)

    def holds(self, delivery: Delivery, worker: str) -> bool:
        fact = self.facts.get(delivery.id)
        return fact is not None and fact.holder == worker and fact.is_of(delivery)

    def settle(
        self, delivery: Delivery, outcome: Outcome, now: float, follow_ups: Sequence[tuple[str, Fact]] = ()
    ) -> bool:
        """`follow_ups`: what the messages are that a run is replaced with."""
        fact = self.facts.get(delivery.id)
        if fact is None or not fact.is_of(delivery):
            return False
        fact.holder = None
        match outcome:
            case Retry() if fact.retries < POLICY.max_retries:
                self._wait(fact, now + POLICY.retry_backoff, now, deliveries=0)
                fact.retries += 1
            case Deferred(until):
                self._wait(fact, until or now, now, fact.deliveries - 1)
            case Lost() if fact.deliveries < POLICY.max_lost:
                self._wait(fact, now, now, fact.deliveries)
            case Replaced(_, flow):
                fact.deliveries, fact.eta, fact.countdown, fact.marked = 0, None, 0.0, set()
                fact.state, fact.waits = ("queued", None) if fact.is_cancelled else ("scheduled", flow.waits)
                for id, follow_up in follow_ups:
                    self.put(id, follow_up)
            case Lost() | Dead():
                fact.is_dead = True
                self._end(delivery.id, "failed", now)
            case _:
                self._end(delivery.id, {Done: "succeeded", Cancelled: "cancelled"}.get(type(outcome), "failed"), now)
        return True

    def cancel(self, id: str, now: float) -> bool:
        fact = self.facts.get(id)
        if fact is None or fact.state not in ("scheduled", "queued", "running"):
            return False
        if fact.state == "running":
            fact.is_cancelled = True
        else:
            self.gone.update([id] if fact.has_copies else [])
            self._end(id, "cancelled", now)
        return True

    def purge(self, id: str, now: float) -> int:
        fact = self.facts.get(id)
        if fact is None or fact.state not in ("scheduled", "queued"):
            return 0
        self.cancel(id, now)
        del self.facts[id]
        return 1

    def seal(self, id: str, places: int, now: float) -> bool:
        fact = self.facts.get(id)
        if fact is None or fact.waits is None:
            return False
        if fact.waits == OPEN:
            fact.waits = places
            self._look(fact, now)
        return True

    def _end(self, id: str, state: str, now: float) -> None:
        fact = self.facts[id]
        fact.state, fact.waits, fact.is_parked, fact.guard = state, None, False, None
        fact.keep_until = None if fact.is_dead else now + POLICY.result_ttl
        for next in fact.then:
            for receiver in next.ids():
                self._tell(receiver, next, (state, id), now)

    def _tell(self, id: str, next: Next, ending: Because, now: float) -> None:
        """What an ending means to one that waits for it. Those that wait for nothing are not told."""
        fact, state = self.facts.get(id), ending[0]
        if fact is None or fact.waits is None:
            return
        if state == {"flow": "succeeded", "success": "succeeded", "failure": "failed"}[next.when]:
            if next.place != NO_PLACE:
                fact.marked.add(next.place)
                self._look(fact, now)
        elif next.when == "flow":
            fact.because, fact.state, fact.waits = ending, "queued", None
        else:
            del self.facts[id]

    @staticmethod
    def _look(fact: Fact, now: float) -> None:
        if fact.waits is not None and fact.waits != OPEN and len(fact.marked) >= fact.waits:
            fact.waits, fact.due = None, now + fact.countdown if fact.eta is None else fact.eta
            fact.state = "scheduled" if fact.due > now else "queued"

    @staticmethod
    def _wait(fact: Fact, due: float, now: float, deliveries: int) -> None:
        fact.due, fact.deliveries = due, deliveries
        fact.state = "scheduled" if due > now and not fact.is_cancelled else "queued"
