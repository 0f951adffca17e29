"""Every order of put, take, settle, cancel, seal, beat, crash and passing time, held against a model of two pages."""

import asyncio
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from polypool.core.join import Flow, Next
from polypool.core.message import Delivery, Message
from polypool.core.outcome import Outcome, Replaced
from polypool.core.report import Search
from tests.conformance.model import POLICY, Fact, Model
from tests.conformance.scene import LANE, LEASE, Clock, Scene, message
from tests.conformance.story import BACK, BATCH, DELAYS, FLOWS, JOINS, MOSTLY_DONE, NAMES, OUTCOMES, WORKERS, because
from tests.engines import redis
from tests.engines.postgres import drop_schema, empty_schema


class EngineMachine(RuleBasedStateMachine):
    """Steps of the model and of an engine side by side. Subclasses name the engine's URL."""

    url = "memory://"

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory(prefix="polypool-machine-")
        self.clock, self.model = Clock(), Model()
        self.held: list[Delivery] = []
        self.names = list(NAMES)
        """Of what may be cancelled, purged and sealed, the newest last."""

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

    def _new(self, name: str, priority: int, delay: int = 0, flow: Flow | None = None) -> tuple[Message, Fact]:
        """A message nobody has seen, and what it is to an engine. `sent_at` tells messages of the same id apart."""
        self.model.placed += 1
        due, place = self.clock() + delay, self.model.placed
        fact = Fact(place, priority, "scheduled" if delay else "queued", due)
        fields = {"priority": priority, "policy": POLICY, "sent_at": float(place), "flow": flow}
        if flow is not None:
            fact.then, fact.countdown, fact.eta = flow.then, flow.countdown, due if delay else None
            if flow.waits:
                fact.state, fact.waits = "scheduled", flow.waits
        return message(name, due=due if delay else None, **fields), fact

    @rule(names=BATCH, priority=st.integers(-1, 1), delay=DELAYS, within=DELAYS, flows=st.tuples(*[FLOWS] * 4))
    def put(self, names: list[str], priority: int, delay: int, within: int, flows: tuple[Flow | None, ...]) -> None:
        """`within`: enroll, to be confirmed by then."""
        self.model.tidy(self.clock())
        news = [(name, *self._new(name, priority, delay, flow)) for name, flow in zip(names, flows, strict=False)]
        guard = self.clock() + within if within else None
        expected = [self.model.put(name, fact, guard) for name, _, fact in news]
        sent = [message for _, message, _ in news]
        engine, claims = self.scene.engine.broker, self.scene.claims
        given = claims.enroll(sent, within) if within else engine.put(sent)
        assert list(self.runner.run(given)) == expected

    @rule(waits=JOINS, places=st.permutations([0, 0, 1, 2]), worker=st.sampled_from(WORKERS), outcomes=MOSTLY_DONE)
    def begin_a_join(self, waits: int, places: list[int], worker: str, outcomes: list[Outcome]) -> None:
        """What chance alone makes too seldom: a step that waits for several, with some of those taken and ended."""
        body, *members = [f"j{self.model.placed}-{number}" for number in range(5)]
        self.names += [members[-1], body]
        flows = [Flow(waits, (Next("m0"),)), *(Flow(then=(Next(body, place),)) for place in places)]
        self.model.tidy(self.clock())
        news = [(name, *self._new(name, 2, flow=flow)) for name, flow in zip([body, *members], flows, strict=True)]
        expected = [self.model.put(name, fact) for name, _, fact in news]
        assert list(self.runner.run(self.scene.engine.broker.put([one for _, one, _ in news]))) == expected
        self.work(worker, outcomes)

    @rule(worker=st.sampled_from(WORKERS), outcomes=MOSTLY_DONE)
    def work(self, worker: str, outcomes: list[Outcome]) -> None:
        """A worker that is well runs one after the other, and whatever else it held ends with it."""
        self.beat(worker)
        for outcome in outcomes:
            self.take(worker, 1)
            self._settle([(one, outcome) for one in self.held if self.model.holds(one, worker)])
            self.states_are_those_of_the_model()

    @rule(worker=st.sampled_from(WORKERS), names=BATCH, priority=st.integers(-1, 1), flow=FLOWS)
    def claim(self, worker: str, names: list[str], priority: int, flow: Flow | None) -> None:
        self.model.tidy(self.clock())
        news = [(name, *self._new(name, priority, flow=flow)) for name in names]
        expected = [self.model.claim(name, fact, worker, self.clock()) for name, _, fact in news]
        claimed = self.runner.run(self.scene.claims.claim([message for _, message, _ in news], worker))
        assert [one and (one.token, one.deliveries, one.is_cancelled, because(one)) for one in claimed] == expected
        for one in claimed:
            if one is not None:
                assert one.message.sent_at == self.model.facts[one.id].place, "as it is stored"
                self.held.append(one)

    @rule(names=BATCH)
    def confirm(self, names: list[str]) -> None:
        self.model.tidy(self.clock())
        for name in names:
            self.model.confirm(name)
        self.runner.run(self.scene.claims.confirm(names))

    @rule()
    def recall(self) -> None:
        self.model.tidy(self.clock())
        assert self.runner.run(self.scene.claims.recall(LANE)) == self.model.recall()

    @rule(worker=st.sampled_from(WORKERS), limit=st.integers(0, 4))
    def take(self, worker: str, limit: int) -> None:
        self.model.tidy(self.clock())
        taken = self.runner.run(self.scene.take(limit, worker))
        seen = [(d.id, d.token, d.deliveries, d.is_cancelled, because(d)) for d in taken]
        assert seen == self.model.take(worker, limit, self.clock())
        self.held += taken

    @rule(picks=st.lists(st.tuples(st.integers(0, 50), st.sampled_from(OUTCOMES)), min_size=1, max_size=4))
    def settle(self, picks: list[tuple[int, Outcome]]) -> None:
        """Of all there ever were, so that stale tokens are tried too."""
        if self.held:
            chosen = [(self.held[-1 - index % len(self.held)], outcome) for index, outcome in picks]
            self._settle(chosen)

    def _settle(self, chosen: list[tuple[Delivery, Outcome]]) -> None:
        self.model.tidy(self.clock())
        batch = [self.scene.settlement(delivery, outcome) for delivery, outcome in chosen]
        expected = [self.model.settle(delivery, outcome, self.clock()) for delivery, outcome in chosen]
        assert list(self.runner.run(self.scene.engine.broker.settle(batch))) == expected

    @rule(index=st.integers(0, 50), names=BATCH, waits=st.integers(1, 2), flow=FLOWS)
    def replace(self, index: int, names: list[str], waits: int, flow: Flow | None) -> None:
        """A run returns a workflow: its message waits again, for steps that are sent."""
        if self.held:
            delivery = self.held[-1 - index % len(self.held)]
            news = [(name, *self._new(name, 0, flow=flow)) for name in names]
            outcome = Replaced([message for _, message, _ in news], Flow(waits))
            self.model.tidy(self.clock())
            expected = self.model.settle(delivery, outcome, self.clock(), [(name, fact) for name, _, fact in news])
            assert self.runner.run(self.scene.settle(delivery, outcome)) == expected

    @rule(back=BACK, places=st.integers(0, 3))
    def seal(self, back: int, places: int) -> None:
        name = self.names[-back % len(self.names)]
        self.model.tidy(self.clock())
        answer = self.runner.run(self.scene.engine.broker.seal(name, places))
        assert answer == self.model.seal(name, places, self.clock())

    @rule(back=BACK)
    def cancel(self, back: int) -> None:
        name = self.names[-back % len(self.names)]
        self.model.tidy(self.clock())
        [answer] = self.runner.run(self.scene.engine.broker.cancel([name]))
        assert answer == self.model.cancel(name, self.clock())

    @rule(back=BACK)
    def purge(self, back: int) -> None:
        name = self.names[-back % len(self.names)]
        self.model.tidy(self.clock())
        answer = self.runner.run(self.scene.engine.inspector.act("purge", Search(ids=(name,))))
        assert answer == self.model.purge(name, self.clock())

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
            fact.because = None

    @rule(seconds=st.sampled_from([1, 1, 2, 2, LEASE, 40]))
    def let_time_pass(self, seconds: float) -> None:
        self.clock.move(seconds)

    @invariant()
    def states_are_those_of_the_model(self) -> None:
        self.model.tidy(self.clock())
        known = sorted({*self.names, *self.model.facts})
        records = self.runner.run(self.scene.engine.results.read(known))
        for name, record in zip(known, records, strict=True):
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


class RedisMachine(EngineMachine):
    async def _open(self) -> None:
        self.url = redis.fresh_url()
        await super()._open()

    def teardown(self) -> None:
        super().teardown()
        redis.clean(self.url)


def test_no_order_of_events_tells_postgres_from_the_model(postgres: str) -> None:
    PostgresMachine.server = postgres
    test_no_order_of_events_tells_an_engine_from_the_model(PostgresMachine, 15)


@pytest.mark.parametrize(("machine", "runs"), [(MemoryMachine, 150), (SqliteMachine, 60), (RedisMachine, 40)])
def test_no_order_of_events_tells_an_engine_from_the_model(machine: type[EngineMachine], runs: int) -> None:
    quick = settings(max_examples=runs, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(machine, settings=quick)
