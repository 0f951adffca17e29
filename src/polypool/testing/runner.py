"""The worker of a test: takes what is due from a memory engine, decides and settles as a real one. Only the running of
a call is left to whoever drives it, because that is done otherwise in an async test."""

import itertools
from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeVar

from polypool.app import Polypool
from polypool.brokers.answer import converse
from polypool.brokers.memory import MemoryEngine
from polypool.core.ask import Ask
from polypool.core.decide import decide, refuse
from polypool.core.late import looked_back
from polypool.core.lifecycle import State
from polypool.core.message import Delivery, Lane, Message
from polypool.core.outcome import Ended, Outcome
from polypool.core.report import Heartbeat, Search
from polypool.pools.child.call import Call
from polypool.pools.child.invoke import Invoker
from polypool.pools.child.meter import ThreadClock
from polypool.pools.wire import Asked, Emitted
from polypool.results.ending import error_of
from polypool.testing.stepping import Done, answered_at_once, at_once

T = TypeVar("T")

Work = Generator[Call, Outcome, T]
"""Yields calls to run, is sent how they ended."""

WORKER = "in place"
MOST_RUNS = 100_000
"""At one point in time. More is a task that sends itself without a countdown."""


class Runner:
    """A memory engine, and what a worker does with it."""

    def __init__(self, app: Polypool, clock: Callable[[], float], sent: Callable[[Sequence[Message]], None]) -> None:
        """`sent` is told of what a run sends in its place."""
        self._app = app
        self._clock = clock
        self._sent = sent
        self._engine = MemoryEngine(clock)
        self.invoker = Invoker(app, ThreadClock(), self)
        self._lanes: dict[Lane, None] = {}
        self._numbers = itertools.count(1)
        at_once(self._engine.beat(Heartbeat(WORKER, "here", 0, clock(), lease=1e15)))

    def put(self, messages: Sequence[Message]) -> list[bool]:
        self._lanes.update((message.lane, None) for message in messages)
        return list(at_once(self._engine.put(messages)))

    def ask(self, ask: Ask) -> Done:
        """The port `Line`, for what a run itself reads."""
        return Done(self.answer(ask))

    def answer(self, ask: Ask) -> Any:
        return answered_at_once(self._engine, ask)

    def next_due(self) -> float | None:
        """When the next of what is scheduled is due."""
        found = at_once(self._engine.find(Search(state=State.SCHEDULED, limit=1_000_000)))
        return min((view.due for view in found if view.due is not None), default=None)

    def due_of(self, id: str) -> float | None:
        """When one that is scheduled is due; None for one that waits for others."""
        found = at_once(self._engine.find(Search(ids=(id,))))
        return found[0].due if found else None

    def run_due(self, raises: bool) -> Work[None]:
        """Run all that is due, and what that sends, one at a time, in the order a worker would take it."""
        for _ in range(MOST_RUNS):
            taken = at_once(self._engine.take(tuple(self._lanes), 1, WORKER, 0.0))
            if not taken:
                return
            yield from self._run(taken[0], raises)
        raise RuntimeError(f"{MOST_RUNS:,} runs and no end: a task seems to send itself without a countdown")

    def _run(self, delivery: Delivery, raises: bool) -> Work[None]:
        delivery = at_once(converse(self._engine, looked_back(delivery)))
        outcome = refuse(delivery, self._app.tasks, self._clock())
        if outcome is None:
            outcome = yield self._call(delivery)
        # Retries wait exactly their backoff here, so that a test can say how far to move the clock.
        settlement = decide(delivery, outcome, self._clock(), random=lambda: 1.0)
        self._lanes.update((message.lane, None) for message in settlement.follow_ups)
        at_once(self._engine.settle([settlement]))
        self._sent(settlement.follow_ups)
        if raises and isinstance(settlement.next, Ended):
            (record,) = at_once(self._engine.read([delivery.id]))
            if record is not None and (error := error_of(record)) is not None:
                raise error

    def _call(self, delivery: Delivery) -> Call:
        message = delivery.message
        runnable = self._app.tasks[message.task]
        outbox: Any = _Outbox(self._engine)
        return Call(next(self._numbers), delivery.token, delivery.deliveries, message, runnable, outbox)


class _Outbox:
    """Where a running task's events go: straight into the engine."""

    def __init__(self, engine: MemoryEngine) -> None:
        self._engine = engine

    def put(self, emitted: Emitted | Asked) -> None:
        if isinstance(emitted, Asked):
            return  # what a limit is charged: nothing is limited here
        at_once(self._engine.append([(emitted.id, emitted.event)]))
