"""Every order of put, take, settle, cancel, beat, crash and passing time, held against a model of a page."""

import asyncio
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from polypool.core.message import Delivery, Policy
from polypool.core.outcome import Cancelled, Dead, Deferred, Done, Failed, Failure, Lost, Outcome, Retry
from polypool.core.report import Search
from tests.conformance.scene import LEASE, Clock, Scene, message
from tests.engines.postgres import drop_schema, empty_schema

WORKERS = ["w1", "w2"]
NAMES = [f"m{n}" for n in range(6)]
POLICY = Policy(max_retries=1, retry_backoff=4.0, retry_jitter=False, max_lost=2, result_ttl=64.0)
OUTCOMES: list[Outcome] = [
    Done(b"\x01"),
    Failed(Failure("E", "no")),
    Retry(),
    Deferred(),
    Deferred(until=1_000_009.0),
    Cancelled(),
    Lost("killed"),
    Dead("unknown task"),
]


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
    is_cancelled: bool = False
    keep_until: float | None = None
    is_dead: bool = False


@dataclass
class Model:
    facts: dict[str, Fact] = field(default_factory=dict)
    leases: dict[str, float] = field(default_factory=dict)
    placed: int = 0

    def tidy(self, now: float) -> None:
        """What time alone brings about."""
        for fact in self.facts.values():
            if fact.state == "scheduled" and fact.due <= now:
                fact.state = "queued"
        self.facts = {id: f for id, f in self.facts.items() if f.keep_until is None or f.keep_until > now}

    def reap(self, now: float) -> None:
        for worker, until in self.leases.items():
            if until <= now:
                self.release(worker)

    def release(self, worker: str) -> None:
        for fact in self.facts.values():
            if fact.holder == worker:
                fact.state, fact.holder = "queued", None

    def take(self, worker: str, limit: int, now: float) -> list[tuple[str, int, int, bool]]:
        if self.leases.get(worker, 0.0) <= now:
            return []
        self.reap(now)
        waiting = [(-f.priority, f.place, id) for id, f in self.facts.items() if f.state == "queued"]
        taken = []
        for *_, id in sorted(waiting)[:limit]:
            fact = self.facts[id]
            fact.state, fact.holder = "running", worker
            fact.token, fact.deliveries = fact.token + 1, fact.deliveries + 1
            taken.append((id, fact.token, fact.deliveries, fact.is_cancelled))
        return taken

    def settle(self, delivery: Delivery, outcome: Outcome, now: float) -> bool:
        fact = self.facts.get(delivery.id)
        if fact is None or fact.place != delivery.message.sent_at:
            return False  # the id is that of a later message
        if fact.state != "running" or fact.token != delivery.token:
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


class EngineMachine(RuleBasedStateMachine):
    """Steps of the model and of an engine side by side. Subclasses name the engine's URL."""

    url = "memory://"

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory(prefix="polypool-machine-")
        self.clock, self.model = Clock(), Model()
        self.held: list[Delivery] = []

    @initialize()
    def open(self) -> None:
        self.runner.run(self._open())

    async def _open(self) -> None:
        self.scene = Scene(self.url.format(Path(self.folder.name)), self.clock)
        await self.scene.engine.broker.open()

    def teardown(self) -> None:
        self.runner.run(self.scene.engine.broker.close())
        self.runner.close()
        self.folder.cleanup()

    @rule(
        names=st.lists(st.sampled_from(NAMES), min_size=1, max_size=4),
        priority=st.integers(-1, 1),
        delay=st.integers(0, 9),
    )
    def put(self, names: list[str], priority: int, delay: int) -> None:
        model, due, sent, expected = self.model, self.clock() + delay, [], []
        model.tidy(self.clock())
        for name in names:
            model.placed += 1
            # sent_at tells messages of the same id apart.
            fields = {"priority": priority, "policy": POLICY, "sent_at": float(model.placed)}
            sent.append(message(name, due=due if delay else None, **fields))
            expected.append(name not in model.facts)
            if expected[-1]:
                state = "scheduled" if delay else "queued"
                model.facts[name] = Fact(model.placed, priority, state, due)
        assert list(self.runner.run(self.scene.engine.broker.put(sent))) == expected

    @rule(worker=st.sampled_from(WORKERS), limit=st.integers(0, 4))
    def take(self, worker: str, limit: int) -> None:
        self.model.tidy(self.clock())
        taken = self.runner.run(self.scene.take(limit, worker))
        seen = [(d.id, d.token, d.deliveries, d.is_cancelled) for d in taken]
        assert seen == self.model.take(worker, limit, self.clock())
        self.held += taken

    @rule(picks=st.lists(st.tuples(st.integers(0, 50), st.sampled_from(OUTCOMES)), min_size=1, max_size=4))
    def settle(self, picks: list[tuple[int, Outcome]]) -> None:
        """Of all there ever were, so that stale tokens are tried too."""
        if self.held:
            chosen = [(self.held[-1 - index % len(self.held)], outcome) for index, outcome in picks]
            batch = [self.scene.settlement(delivery, outcome) for delivery, outcome in chosen]
            self.model.tidy(self.clock())
            expected = [self.model.settle(delivery, outcome, self.clock()) for delivery, outcome in chosen]
            assert list(self.runner.run(self.scene.engine.broker.settle(batch))) == expected

    @rule(name=st.sampled_from(NAMES))
    def cancel(self, name: str) -> None:
        self.model.tidy(self.clock())
        fact = self.model.facts.get(name)
        [answer] = self.runner.run(self.scene.engine.broker.cancel([name]))
        assert answer == (fact is not None and fact.state in ("scheduled", "queued", "running"))
        if fact is not None and fact.state == "running":
            fact.is_cancelled = True
        elif fact is not None and answer:
            fact.state, fact.keep_until = "cancelled", self.clock() + POLICY.result_ttl

    @rule(worker=st.sampled_from(WORKERS))
    def beat(self, worker: str) -> None:
        """A worker that does not beat for a while is what a crash looks like."""
        now, model = self.clock(), self.model
        orders = self.runner.run(self.scene.join(worker))
        assert orders.is_fenced == (model.leases.get(worker, now + 1) <= now)
        model.reap(now)
        model.leases[worker] = now + LEASE
        flagged = {id for id, fact in model.facts.items() if fact.holder == worker and fact.is_cancelled}
        assert set(orders.cancel) == flagged

    @rule(worker=st.sampled_from(WORKERS), pid=st.integers(2, 1_000_000))
    def restart(self, worker: str, pid: int) -> None:
        """The old process is gone, a new one has its name; then the name goes on as before."""
        self.runner.run(self.scene.join(worker, pid=pid))
        self.runner.run(self.scene.join(worker))
        self.model.release(worker)
        self.model.reap(self.clock())
        self.model.leases[worker] = self.clock() + LEASE

    @rule()
    def requeue_the_dead(self) -> None:
        dead = [fact for fact in self.model.facts.values() if fact.is_dead]
        assert self.runner.run(self.scene.engine.inspector.act("requeue", Search(dead=True))) == len(dead)
        for fact in dead:
            fact.state, fact.is_dead, fact.deliveries, fact.is_cancelled = "queued", False, 0, False

    @rule(seconds=st.sampled_from([1, 2, LEASE, 40]))
    def let_time_pass(self, seconds: float) -> None:
        self.clock.move(seconds)

    @invariant()
    def states_are_those_of_the_model(self) -> None:
        self.model.tidy(self.clock())
        records = self.runner.run(self.scene.engine.results.read(NAMES))
        for name, record in zip(NAMES, records, strict=True):
            fact = self.model.facts.get(name)
            if record is None or fact is None:
                assert record is None and fact is None, name
            elif record.state != "scheduled" or fact.state != "queued":  # due, but not yet looked at
                assert (record.state, record.is_dead) == (fact.state, fact.is_dead), name


class MemoryMachine(EngineMachine):
    url = "memory://"


class SqliteMachine(EngineMachine):
    url = "sqlite:///{}/tasks.db?busy_timeout=1"


class PostgresMachine(EngineMachine):
    server = ""

    async def _open(self) -> None:
        self.url = empty_schema(self.server)
        await super()._open()

    def teardown(self) -> None:
        super().teardown()
        drop_schema(self.url)


def test_no_order_of_events_tells_postgres_from_the_model(postgres: str) -> None:
    PostgresMachine.server = postgres
    test_no_order_of_events_tells_an_engine_from_the_model(PostgresMachine, 15)


@pytest.mark.parametrize(("machine", "runs"), [(MemoryMachine, 150), (SqliteMachine, 60)])
def test_no_order_of_events_tells_an_engine_from_the_model(machine: type[EngineMachine], runs: int) -> None:
    quick = settings(max_examples=runs, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(machine, settings=quick)
