"""RabbitMQ against the model that all engines are held against: the same states, but no order in which to take."""

import asyncio

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from polypool.brokers.rabbitmq.engine import RabbitEngine
from polypool.core.join import Flow
from polypool.core.message import Message
from tests.conformance.model import Fact
from tests.conformance.scene import LANE, Scene
from tests.conformance.story import BATCH, FLOWS, WORKERS, because
from tests.conformance.test_state_machine import EngineMachine
from tests.engines import rabbitmq


class RabbitMachine(EngineMachine):
    """What is parked where, and which copies there are, is the engine's own affair here."""

    async def _open(self) -> None:
        self.scene = Scene(rabbitmq.fresh_url(), self.clock, "memory://")
        await self.scene.engine.broker.open()

    def teardown(self) -> None:
        super().teardown()
        asyncio.run(rabbitmq.clean(self.scene.url))

    def _new(self, name: str, priority: int, delay: int = 0, flow: Flow | None = None) -> tuple[Message, Fact]:
        """Quorum queues have no priorities."""
        return super()._new(name, 0, delay, flow)

    claim = confirm = None  # type: ignore[assignment]

    @rule()
    def recall(self) -> None:
        """Nobody can tell, whether the copies are lost or not."""
        engine = self.scene.engine
        assert isinstance(engine, RabbitEngine)
        self.runner.run(engine.backend.claims.recall(LANE))

    @rule(names=BATCH, delay=st.sampled_from([0, 0, 0, 5]), flows=st.tuples(*[FLOWS] * 4))
    def put(self, names: list[str], delay: int, flows: tuple[Flow | None, ...]) -> None:
        self.model.tidy(self.clock())
        news = [(name, *self._new(name, 0, delay, flow)) for name, flow in zip(names, flows, strict=False)]
        expected = [self.model.put(name, fact) for name, _, fact in news]
        given = self.scene.engine.broker.put([message for _, message, _ in news])
        assert list(self.runner.run(given)) == expected

    @rule(worker=st.sampled_from(WORKERS), limit=st.integers(0, 8))
    def take(self, worker: str, limit: int) -> None:
        """All that waits where there is room for all; any of it, but no less, where there is not."""
        self.model.tidy(self.clock())
        taken = self.runner.run(self.scene.take(limit, worker))
        seen = {one.id: (one.token, one.deliveries, one.is_cancelled, because(one)) for one in taken}
        assert len(seen) == len(taken)
        waiting = self.model.waiting(worker, self.clock())
        assert len(taken) == min(limit, len(waiting)) and seen.keys() <= set(waiting)
        assert seen == {id: self.model.facts[id].lease(worker) for id in seen}
        self.held += taken


@pytest.mark.timeout(300)
def test_no_order_of_events_tells_rabbitmq_from_the_model() -> None:
    quick = settings(max_examples=20, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(RabbitMachine, settings=quick)
