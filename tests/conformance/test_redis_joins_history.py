"""Every order of sending, taking, ending, sealing, cancelling and passing time, on Redis and on the specification at
once: whatever steps tell each other, both say the same of all of them.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from polypool.core.join import NO_PLACE, OPEN, Flow, Input, Next, One
from polypool.core.lifecycle import State
from polypool.core.message import Delivery, Message, Policy
from polypool.core.outcome import Cancelled, Dead, Deferred, Done, Failed, Failure, Lost, Outcome, Replaced, Retry
from polypool.core.report import Search, TaskView
from tests.conformance.scene import LEASE, Clock, Scene, message
from tests.engines import redis

NAMES = ["a", "b", "c", "d", "a-0", "a-1"]
WORKERS = ["w1", "w2"]
POLICY = Policy(max_retries=1, retry_backoff=2.0, retry_jitter=False, max_lost=2)
WHENS = st.sampled_from(["flow", "flow", "flow", "success", "failure"])


@st.composite
def workflows(draw: st.DrawFn) -> list[Message]:
    """Steps in some order, each waiting for some before it; now and then for more or fewer than tell it."""
    steps: list[Message] = []
    for id in draw(st.permutations(NAMES)):
        before = draw(st.lists(st.sampled_from(range(len(steps))), max_size=3, unique=True)) if steps else []
        for place, at in enumerate(before):
            steps[at] = _telling(steps[at], draw(st.builds(Next, st.just(id), st.just(place), WHENS)))
        waits = draw(st.sampled_from([len(before)] * 6 + [OPEN, len(before) + 1]))
        steps.append(
            message(
                id,
                flow=Flow(
                    waits,
                    countdown=draw(st.sampled_from([0.0, 0.0, 0.0, 5.0])),
                    plan=draw(st.sampled_from([None, None, b"plan"])),
                ),
                priority=draw(st.integers(-1, 1)),
                policy=msgspec.structs.replace(POLICY, result_ttl=draw(st.sampled_from([64.0, 64.0, 0.0]))),
            )
        )
    tail = Next("a", draw(st.sampled_from([NO_PLACE, 0, 5])), draw(WHENS), 2)
    return [*steps[:-1], _telling(steps[-1], tail)]


def _named(step: Message, number: int) -> Message:
    """As it is called in the workflow of this number."""
    assert step.flow is not None
    then = tuple(msgspec.structs.replace(next, id=f"{number}{next.id}") for next in step.flow.then)
    flow = msgspec.structs.replace(step.flow, then=then)
    return msgspec.structs.replace(step, id=f"{number}{step.id}", flow=flow)


def _telling(step: Message, next: Next) -> Message:
    assert step.flow is not None
    return msgspec.structs.replace(step, flow=msgspec.structs.replace(step.flow, then=(*step.flow.then, next)))


DONE = st.just(Done(b"\x01"))
OUTCOMES = st.one_of(
    DONE,
    DONE,
    DONE,
    DONE,
    st.sampled_from(
        [
            Failed(Failure("E", "no")),
            Cancelled(),
            Retry(),
            Deferred(),
            Deferred(until=1_000_009.0),
            Lost("killed"),
            Dead("unknown"),
        ]
    ),
    st.builds(
        lambda name, waits: Replaced(
            [message(name, flow=Flow(then=(Next("d"),)))], Flow(waits, inputs=(Input(One(name)),), replacement=b"new")
        ),
        st.sampled_from(NAMES),
        st.sampled_from([1, 1, 2]),
    ),
)


class JoinMachine(RuleBasedStateMachine):
    """Each step is taken on both engines."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = Clock()
        self.held: list[Sequence[Delivery]] = []
        self.sent = 0

    @initialize()
    def open(self) -> None:
        self.scenes = self.runner.run(self._open())

    async def _open(self) -> list[Scene]:
        scenes = [Scene("memory://", self.clock), Scene(redis.fresh_url(), self.clock)]
        for scene in scenes:
            await scene.engine.broker.open()
            for worker in WORKERS:
                await scene.join(worker)
        return scenes

    def teardown(self) -> None:
        for scene in self.scenes:
            self.runner.run(scene.engine.broker.close())
        redis.clean(self.scenes[1].url)
        self.runner.close()

    def both(self, ask: Any) -> list[Any]:
        return [self.runner.run(ask(scene)) for scene in self.scenes]

    def agree(self, ask: Any) -> Any:
        first, second = ([*answer] if isinstance(answer, list) else answer for answer in self.both(ask))
        assert second == first
        return first

    @rule(steps=workflows(), delay=st.sampled_from([None, None, 3.0]), is_new=st.sampled_from([True, True, False]))
    def send(self, steps: list[Message], delay: float | None, is_new: bool) -> None:
        self.sent += is_new
        now = self.clock()
        due = now + delay if delay else None
        sent = [msgspec.structs.replace(_named(one, self.sent), due=due, root=f"sent {now}") for one in steps]
        self.agree(lambda scene: scene.engine.broker.put(sent))

    @rule(steps=workflows())
    def send_by_another_engine(self, steps: list[Message]) -> None:
        self.sent += 1
        sent = [_named(one, self.sent) for one in steps]
        self.agree(lambda scene: scene.claims.enroll(sent, 5.0))

    @rule(worker=st.sampled_from(WORKERS), limit=st.integers(1, 5))
    def take(self, worker: str, limit: int) -> None:
        self._hold(self.both(lambda scene: scene.take(limit, worker)))

    @rule(worker=st.sampled_from(WORKERS), id=st.sampled_from(NAMES), waits=st.integers(0, 1))
    def claim(self, worker: str, id: str, waits: int) -> None:
        copy = message(f"{self.sent}{id}", flow=Flow(waits))
        claimed = self.both(lambda scene: scene.claims.claim([copy], worker))
        self._hold([[one for one in some if one is not None] for some in claimed])

    def _hold(self, taken: list[list[Delivery]]) -> None:
        first, second = taken
        assert [_seen(one) for one in second] == [_seen(one) for one in first]
        self.held += zip(first, second, strict=True)

    @rule(
        worker=st.sampled_from(WORKERS),
        rounds=st.lists(st.lists(OUTCOMES, min_size=1, max_size=4), min_size=1, max_size=5),
    )
    def work(self, worker: str, rounds: list[list[Outcome]]) -> None:
        """Take some of what there is and end it, and so on with what comes next."""
        self.beat(worker)
        for outcomes in rounds:
            before = len(self.held)
            self.take(worker, len(outcomes))
            self._settle(list(zip(self.held[before:], outcomes, strict=False)))

    @rule(
        worker=st.sampled_from(WORKERS), steps=workflows(), rounds=st.lists(st.lists(OUTCOMES, min_size=2), max_size=3)
    )
    def send_and_work(self, worker: str, steps: list[Message], rounds: list[list[Outcome]]) -> None:
        self.send(steps, None, True)
        self.work(worker, rounds)

    @rule(picks=st.lists(st.tuples(st.integers(0, 20), OUTCOMES), min_size=1, max_size=5))
    def settle(self, picks: list[tuple[int, Outcome]]) -> None:
        """Of all there ever were, so that stale tokens are tried too."""
        if self.held:
            self._settle([(self.held[-1 - index % len(self.held)], outcome) for index, outcome in picks])

    def _settle(self, chosen: list[tuple[Sequence[Delivery], Outcome]]) -> None:
        first, second = (
            self.runner.run(
                scene.engine.broker.settle([scene.settlement(pair[at], outcome) for pair, outcome in chosen])
            )
            for at, scene in enumerate(self.scenes)
        )
        assert second == first

    @rule(id=st.sampled_from(NAMES), places=st.integers(0, 3))
    def seal(self, id: str, places: int) -> None:
        self.agree(lambda scene: scene.engine.broker.seal(f"{self.sent}{id}", places))

    @rule(names=st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True))
    def cancel(self, names: list[str]) -> None:
        ids = [f"{self.sent}{name}" for name in names]
        self.agree(lambda scene: scene.engine.broker.cancel(ids))

    @rule(id=st.sampled_from(NAMES))
    def purge(self, id: str) -> None:
        self.agree(lambda scene: scene.engine.inspector.act("purge", Search(ids=(f"{self.sent}{id}",))))

    @rule()
    def purge_all_that_waits(self) -> None:
        self.both(lambda scene: scene.engine.inspector.act("purge", Search()))

    @rule()
    def requeue_the_dead(self) -> None:
        self.agree(lambda scene: scene.engine.inspector.act("requeue", Search(dead=True)))

    @rule(worker=st.sampled_from(WORKERS))
    def beat(self, worker: str) -> None:
        first, second = self.both(lambda scene: scene.join(worker))
        assert (first.is_fenced, set(first.cancel)) == (second.is_fenced, set(second.cancel))

    @rule(seconds=st.sampled_from([1, 2, LEASE, 40]))
    def let_time_pass(self, seconds: float) -> None:
        self.clock.move(seconds)

    @invariant()
    def both_say_the_same_of_every_step(self) -> None:
        first, second = (
            {view.id: self._tidied(view) for view in views}
            for views in self.both(lambda scene: scene.engine.inspector.find(Search(limit=1000)))
        )
        assert second == first
        self.agree(self._counted)

    async def _counted(self, scene: Scene) -> int:
        return sum(one.queued + one.scheduled for one in await scene.engine.inspector.lanes())

    @invariant()
    def redis_keeps_nothing_of_joins_that_are_over(self) -> None:
        waiting = {
            view.id
            for view in self.runner.run(self.scenes[1].engine.inspector.find(Search(state=State.SCHEDULED, limit=1000)))
            if view.due is None
        }
        prefix = redis.prefix(self.scenes[1].url)
        keys = [key.decode().removeprefix(prefix) for key in redis.keys(self.scenes[1].url)]
        assert {key.removeprefix("places:") for key in keys if key.startswith("places:")} <= waiting
        assert bool(waiting) == ("joins:1" in keys)

    def _tidied(self, view: TaskView) -> TaskView:
        """Due, but not yet looked at by whoever would put it in its lane."""
        if view.state is State.SCHEDULED and view.due is not None and view.due <= self.clock():
            view = msgspec.structs.replace(view, state=State.QUEUED)
        return msgspec.structs.replace(view, due=None if view.state is State.QUEUED else view.due)


def _seen(delivery: Delivery) -> tuple[Any, ...]:
    message: Message = delivery.message
    return message, delivery.token, delivery.deliveries, delivery.is_cancelled, delivery.cause


def test_no_order_of_events_tells_joins_on_redis_from_the_specification() -> None:
    quick = settings(max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(JoinMachine, settings=quick)
