"""Workers in one process, over any engine: they take, run, read what steps wait for, decide and settle as real ones do,
and die, fall asleep and come back wherever a test wants them to."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from polypool.brokers.answer import answer
from polypool.canvas.shape import Shape, decode_plan
from polypool.core.codec import decode, decode_any, encode
from polypool.core.decide import decide, refuse
from polypool.core.gather import Reading, read_value
from polypool.core.join import Input, One
from polypool.core.lifecycle import State
from polypool.core.message import Delivery, Lane, Message
from polypool.core.outcome import Done, Ended, Failed, FailedStep, Failure, Outcome, Replaced, Retry, Settlement
from polypool.core.port import Engine
from polypool.core.report import Search
from tests.conformance.flow_oracle import FAILED_STEP, digest
from tests.conformance.flow_shapes import TASK, Deed
from tests.conformance.scene import LANE, LEASE, Clock, heartbeat

Compile = Callable[[Shape, Message], Replaced]
"""A workflow that a run of this message returned, as what is sent instead of its ending."""
ATTEMPTS_UNTIL_DONE = 3
IDLE_ROUNDS = 10
"""Of some seconds each, in which delays and leases end."""


@dataclass
class Held:
    """A delivery that a worker took, and how its run ended if it has run."""

    delivery: Delivery
    outcome: Outcome | None = None


@dataclass
class Seen:
    """What happened, counted by steps' labels; of ids that are no step of a test's, by the id."""

    runs: Counter[str] = field(default_factory=Counter)
    """Runs whose ending was accepted, and which did not ask to be repeated."""
    begun: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    """Endings that were accepted, by message id: never more than one."""
    told: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """By an error callback's label: the ids of the steps that it was told of."""
    labels: dict[str, str] = field(default_factory=dict)
    """Of ids."""


class Hands:
    """`workers` hold leases until they are killed or sleep past them."""

    def __init__(self, engine: Engine, clock: Clock, replaced: Compile, lanes: Sequence[Lane] = (LANE,)) -> None:
        self.engine = engine
        self.clock = clock
        self.seen = Seen()
        self.holds: dict[str, list[Held]] = {}
        self.stale: list[Settlement] = []
        """What was settled already, or by somebody else."""
        self._replaced = replaced
        self._lanes = lanes
        self._born = 0

    async def hire(self) -> str:
        """A new worker; its name."""
        self._born += 1
        name = f"w{self._born}"
        self.holds[name] = []
        await self.beat(name)
        return name

    async def beat(self, worker: str) -> None:
        """Renew its lease. One that had slept past it lets go of what it held, and goes on trying to settle that."""
        orders = await self.engine.broker.beat(heartbeat(worker))
        if orders.is_fenced:
            self.stale += [self._settlement(held) for held in self.holds[worker] if held.outcome is not None]
            self.holds[worker] = []

    async def kill(self, worker: str) -> None:
        """It is not heard of again; its lease ends."""
        del self.holds[worker]
        await self.sleep_past_leases(but=tuple(self.holds))

    async def sleep_past_leases(self, but: Sequence[str] = ()) -> None:
        """Time passes, in which these go on beating."""
        for _ in range(4):
            self.clock.move(LEASE / 3)
            for worker in but:
                await self.beat(worker)

    async def take(self, worker: str, limit: int) -> int:
        taken = await self.engine.broker.take(self._lanes, limit, worker, 0)
        self.holds[worker] += [Held(delivery) for delivery in taken]
        return len(taken)

    async def run(self, held: Held) -> None:
        """Run it, or refuse it; nothing of it is written yet."""
        delivery = held.delivery
        refused = refuse(delivery, [TASK], self.clock())
        held.outcome = refused or await self._run(delivery)

    async def settle(self, worker: str, some: Sequence[Held]) -> None:
        """Write these, which it holds; those that were written are no longer held."""
        settlements = [self._settlement(held) for held in some]
        accepted = await self.engine.broker.settle(settlements)
        for held, settlement, is_accepted in zip(some, settlements, accepted, strict=True):
            self.holds[worker].remove(held)
            self.stale.append(settlement)
            if is_accepted:
                self._note(held, settlement)

    async def settle_again(self, settlement: Settlement) -> bool:
        [accepted] = await self.engine.broker.settle([settlement])
        return accepted

    async def finish(self, patience: float = 0.0) -> None:
        """Let everybody work in peace until nothing waits or runs any more. AssertionError if something waits for
        ever; `patience` is how many seconds it may take what is taken to arrive."""
        worker = await self.hire()
        for other in [name for name in self.holds if name != worker]:
            del self.holds[other]
        await self.sleep_past_leases(but=[worker])
        idle, deadline = 0, time.monotonic() + patience
        while await self._left():
            idle = 0 if await self._work_off(worker) else idle + 1
            await self.sleep_past_leases(but=[worker])
            stuck = idle > IDLE_ROUNDS and time.monotonic() > deadline
            assert not stuck, f"waits for ever: {await self.engine.inspector.find(Search())}"

    async def _work_off(self, worker: str) -> bool:
        """Run and settle what can be taken now; whether there was something."""
        taken = 0
        while await self.take(worker, 100):
            taken += 1
            for held in list(self.holds[worker]):
                await self.run(held)
            await self.settle(worker, list(self.holds[worker]))
        return taken > 0

    async def _left(self) -> int:
        lanes = await self.engine.inspector.lanes()
        return sum(lane.queued + lane.scheduled + lane.running for lane in lanes)

    def _settlement(self, held: Held) -> Settlement:
        assert held.outcome is not None
        return decide(held.delivery, held.outcome, self.clock(), lambda: 0.5)

    def _note(self, held: Held, settlement: Settlement) -> None:
        id = held.delivery.id
        if isinstance(settlement.next, Ended):
            self.seen.ended[id] += 1
        is_run = isinstance(held.outcome, Done | Failed | Replaced) and held.delivery.cause is None
        if is_run and not (held.delivery.message.flow and held.delivery.message.flow.gathers):
            self.seen.runs[self.seen.labels[id]] += 1

    async def _run(self, delivery: Delivery) -> Outcome:
        message = delivery.message
        own, keywords = decode_any(message.args)
        deed = decode(encode(keywords.pop("deed")), Deed)
        self.seen.labels[message.id] = deed.label
        self.seen.begun[deed.label] += 1
        given, named = await self._inputs(message)
        self.seen.told[deed.label] = [one["task_id"] for one in given if isinstance(one, dict)]
        given = [FAILED_STEP if isinstance(one, dict) else one for one in given]
        if deed.does == "fail":
            return Failed(Failure("builtins.ValueError", deed.label))
        if deed.does == "retry" and message.retries + 1 < ATTEMPTS_UNTIL_DONE:
            return Retry(countdown=0.0 if message.retries else 2.0)
        if deed.does == "unfold":
            return self._replaced(decode_plan(deed.plan), message)
        if message.each is not None:
            return Done(encode([digest(deed.label, [item], {}) for item in own[0]]))
        return Done(encode(digest(deed.label, [*given, *own], named)))

    async def _inputs(self, message: Message) -> tuple[list[Any], dict[str, Any]]:
        given: list[Any] = []
        named: dict[str, Any] = {}
        for input in message.flow.inputs if message.flow is not None else ():
            value = await self._failure(input) if input.is_failure else decode_any(await self.read(input))
            if input.name is None:
                given.append(value)
            else:
                named[input.name] = value
        return given, named

    async def read(self, input: Input) -> bytes:
        """The value of what it refers to, which must be there."""
        return await self.asked(read_value(input.ref))

    async def asked(self, reading: Reading) -> bytes:
        try:
            ask = next(reading)
            while True:
                ask = reading.send(await answer(self.engine, ask))
        except StopIteration as end:
            value: bytes = end.value
            return value

    async def _failure(self, input: Input) -> dict[str, Any]:
        assert isinstance(input.ref, One)
        [record] = await self.engine.results.read([input.ref.id])
        assert record is not None and record.state is State.FAILED and record.failure is not None
        origin = record.failure.origin
        told = FailedStep(
            origin.id if origin else record.id,
            origin.task if origin else record.task,
            record.failure.type,
            record.failure.message,
            workflow_id=record.id,
        )
        plain: dict[str, Any] = decode_any(encode(told))
        return plain
