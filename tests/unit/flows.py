"""Workflows composed by hand, and a worker that a test moves through them."""

import time
from collections.abc import Callable, Iterator
from typing import Any

from polypool.brokers.memory import MemoryEngine
from polypool.canvas.compile import Ground, compile
from polypool.canvas.shape import Call, Shape
from polypool.core.codec import encode
from polypool.core.decide import decide, refuse
from polypool.core.message import Delivery, Lane, Message, Policy
from polypool.core.outcome import Cancelled, Done, Failed, Failure, Outcome, Replaced, Usage
from polypool.core.report import Heartbeat
from polypool.testing.stepping import at_once

LANE = Lane("default", "threads")
TASKS = ("vision", "rule", "merge", "double", "tell")


def call(task: str = "double", *args: Any, **more: Any) -> Call:
    return Call(task, encode((args, {})), policy=Policy(), **more)


def messages(shape: Shape, id: str = "W", now: float | None = None) -> list[Message]:
    return compile(shape, id, Ground(time.time() if now is None else now)).messages


def returns(shape: Shape) -> Callable[[Delivery], Outcome]:
    """A run that returns this workflow."""

    def replaced(delivery: Delivery) -> Outcome:
        from polypool.core.join import Flow, Input, Next, One

        id = delivery.id
        sent = compile(shape, f"{id}~", Ground(time.time()), tells=(Next(id),), keeps_plan=False)
        flow = Flow(1, inputs=(Input(One(f"{id}~")),), gathers=True, replacement=encode(shape))
        return Replaced(sent.messages, flow)

    return replaced


def boom(delivery: Delivery) -> Outcome:
    return Failed(Failure("builtins.ValueError", f"boom in {delivery.id}", "Traceback: somewhere"), usage())


def usage(wall: float = 0.4, ago: float = 0.5) -> Usage:
    return Usage(time.time() - ago, wall, 0.1)


class Hands:
    """Takes what there is and ends it; `engine` needs no loop where nobody waits."""

    def __init__(self, engine: MemoryEngine, wait: Callable[[Any], Any] = at_once) -> None:
        self._engine = engine
        self._wait = wait

    def put(self, shape: Shape, id: str = "W", now: float | None = None) -> None:
        assert all(self._wait(self._engine.broker.put(messages(shape, id, now))))

    def take(self, limit: int = 1_000) -> list[Delivery]:
        sign = Heartbeat("by hand", "here", 1, 0.0, lease=1e6)
        self._wait(self._engine.broker.beat(sign))
        return list(self._wait(MemoryEngine.take(self._engine, [LANE], limit, "by hand", 0.0)))

    def end(self, delivery: Delivery, outcome: Outcome) -> None:
        settlement = decide(delivery, outcome, time.time(), random=lambda: 0.5)
        assert list(self._wait(self._engine.broker.settle([settlement]))) == [True]

    def run(self, **outcomes: Any) -> list[str]:
        """Take what there is and end it: what `outcomes` has under its id (`.` `-` `~` `!` written `_`), else well."""
        ran = []
        for delivery in self.take():
            name = "".join("_" if sign in ".-~!" else sign for sign in delivery.id)
            self.end(delivery, self._outcome(delivery, outcomes.get(name)))
            ran.append(delivery.id)
        return ran

    def run_all(self, **outcomes: Any) -> list[str]:
        return [id for round in self._rounds(outcomes) for id in round]

    def _rounds(self, outcomes: dict[str, Any]) -> Iterator[list[str]]:
        while ran := self.run(**outcomes):
            yield ran

    def _outcome(self, delivery: Delivery, wanted: Any) -> Outcome:
        refused = refuse(delivery, TASKS, time.time())
        if refused is not None:
            return refused
        if wanted is None:
            return Done(encode(delivery.id), usage())
        if isinstance(wanted, Cancelled):
            return wanted
        outcome: Outcome = wanted(delivery) if callable(wanted) else Done(encode(wanted), usage())
        return outcome
