"""What an engine is to do, in a page: the model that test_state_machine.py holds every engine against."""

from dataclasses import dataclass, field

from polypool.core.message import Delivery, Policy
from polypool.core.outcome import Cancelled, Dead, Deferred, Done, Lost, Outcome, Retry

POLICY = Policy(max_retries=1, retry_backoff=4.0, retry_jitter=False, max_lost=2, result_ttl=64.0)

Lease = tuple[int, int, bool]
"""Token, deliveries, is to be cancelled."""


@dataclass
class Fact:
    """What the model knows of one message."""

    place: int
    priority: int
    state: str
    due: float = 0.0
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
        return self.token, self.deliveries, self.is_cancelled

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
            if fact.state == "scheduled" and fact.due <= now:
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

    def take(self, worker: str, limit: int, now: float) -> list[tuple[str, int, int, bool]]:
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

    def settle(self, delivery: Delivery, outcome: Outcome, now: float) -> bool:
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
            case Lost() | Dead():
                fact.state, fact.is_dead = "failed", True
            case _:
                fact.state = {Done: "succeeded", Cancelled: "cancelled"}.get(type(outcome), "failed")
                fact.keep_until = now + POLICY.result_ttl
        return True

    @staticmethod
    def _wait(fact: Fact, due: float, now: float, deliveries: int) -> None:
        fact.due, fact.deliveries = due, deliveries
        fact.state = "scheduled" if due > now and not fact.is_cancelled else "queued"
