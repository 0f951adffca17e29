"""Workflows over RabbitMQ: what it carries of them, what waits at the backend, and a sender killed in the middle."""

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from polypool.brokers.rabbitmq.confirmer import CONFIRM_WITHIN
from polypool.core.decide import refuse
from polypool.core.join import OPEN, Flow, Next
from polypool.core.lifecycle import State
from polypool.core.message import Delivery, Message, Policy
from polypool.core.outcome import Done, Failed, Failure, Outcome, Replaced
from polypool.core.report import Search
from tests.conformance.scene import LANE, Clock, Scene, ids, message
from tests.engines import rabbitmq

LONG = 90.0
MEMBERS = 20
BOOM = Failed(Failure("builtins.ValueError", "boom"))

SENDER = """
import asyncio, os, signal, sys
from polypool.brokers.open import open_engine
from polypool.brokers.rabbitmq import {module}
from tests.conformance.test_rabbitmq_joins import workflow

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

async def main():
    engine = open_engine(sys.argv[1], backend=sys.argv[2])
    await engine.broker.open()
    {module}.{name} = die
    await engine.broker.put(workflow())

asyncio.run(main())
"""
"""A process that is killed where it would have called that."""


def workflow() -> list[Message]:
    """A chord and what comes after it, the last first."""
    members = [message(f"m-{at}", flow=Flow(then=(Next("body", at),))) for at in range(MEMBERS)]
    return [message("after", flow=Flow(1)), message("body", flow=Flow(MEMBERS, (Next("after"),))), *members]


async def drained(scene: Scene, *last: str, outcome: Outcome | None = None) -> list[Delivery]:
    """Take and settle until these have come."""
    taken: list[Delivery] = []
    deadline = time.monotonic() + LONG
    while not set(last) <= set(ids(taken)):
        assert time.monotonic() < deadline, f"only {ids(taken)} came"
        batch = await scene.engine.broker.take([LANE], 7, "w1", 1.0)
        ends = [refuse(one, ["app.work"], scene.clock()) or outcome or Done(b"\xc0") for one in batch]
        settlements = [scene.settlement(one, end) for one, end in zip(batch, ends, strict=True)]
        assert all(await scene.engine.broker.settle(settlements))
        taken += batch
    return taken


@pytest.fixture
async def front() -> AsyncIterator[Scene]:
    """RabbitMQ before a memory engine, at a clock that stands."""
    scene = Scene(rabbitmq.fresh_url(), Clock(), "memory://")
    await scene.engine.broker.open()
    await scene.join(lease=1000.0)
    yield scene
    await scene.engine.broker.close()
    await rabbitmq.clean(scene.url)


async def test_only_steps_that_wait_for_nothing_travel(front: Scene) -> None:
    assert all(await front.engine.broker.put(workflow()))
    assert await rabbitmq.depth(front.url, LANE) == MEMBERS
    assert await front.engine.broker.put([message("open", flow=Flow(OPEN))]) == [True]
    assert await rabbitmq.depth(front.url, LANE) == MEMBERS
    taken = await drained(front, "after")
    assert len(taken) == MEMBERS + 2 and {one.deliveries for one in taken} == {1}
    assert await front.engine.broker.seal("open", 0)
    assert ids(await drained(front, "open")) == ["open"]


async def test_a_cause_comes_with_what_is_taken_beside_the_queues(front: Scene) -> None:
    await front.engine.broker.put(workflow())
    taken = await drained(front, "after", outcome=BOOM)
    assert {one.id for one in taken if one.cause is not None} == {"body", "after"}
    [record] = await front.engine.results.read(["after"])
    assert record is not None and record.failure is not None and record.failure.message == "boom"


async def test_a_purge_of_a_whole_queue_takes_the_steps_that_wait_along(front: Scene) -> None:
    await front.engine.broker.put(workflow())
    assert await front.engine.inspector.act("purge", Search(queue=LANE.queue)) == MEMBERS + 2
    assert await rabbitmq.depth(front.url, LANE) == 0
    await front.put("next")
    assert ids(await drained(front, "next")) == ["next"]


async def test_a_lost_copy_of_a_step_that_waits_again_does_not_begin_it(front: Scene) -> None:
    """The same id may be claimed by a copy and wait: its task returned a workflow, and then the connection broke."""
    await front.put("a")
    [delivery] = await front.take()
    outcome = Replaced([message("a.0", flow=Flow(then=(Next("a"),)))], Flow(1, gathers=True))
    link = front.engine.broker._hopper._link  # type: ignore[attr-defined]
    lost = link.wire
    lost._transport.abort()
    await asyncio.wait_for(lost.lost, LONG)
    assert await front.settle(delivery, outcome)
    assert await front.state("a") == "scheduled"
    [step] = await front.engine.broker.take([LANE], 10, "w1", LONG)
    assert step.id == "a.0", "and not the copy of a that came again"
    assert await front.settle(step)
    [again] = await front.engine.broker.take([LANE], 10, "w1", LONG)
    assert again.id == "a" and again.message.flow is not None and again.message.flow.gathers
    assert await front.settle(again)
    await front.put("last")  # behind that copy, so by then it came
    assert ids(await drained(front, "last")) == ["last"]


async def test_a_step_that_runs_twice_because_nothing_was_kept_of_it_marks_one_place(front: Scene) -> None:
    """What only RabbitMQ has: a copy that outlives its message, of which nothing was to be kept."""
    steps = [message(f"m-{at}", flow=Flow(then=(Next("body", at),)), policy=Policy(result_ttl=0.0)) for at in (0, 1)]
    await front.engine.broker.put([message("body", flow=Flow(2)), *steps])
    first, second = await front.take()
    assert await front.settle(first)
    await rabbitmq.publish(front.url, LANE, first.body)
    [copy] = await front.engine.broker.take([LANE], 10, "w1", LONG)
    assert copy.id == first.id and await front.settle(copy)
    assert await front.state("body") == "scheduled"
    assert await front.settle(second)
    assert ids(await front.engine.broker.take([LANE], 10, "w1", LONG)) == ["body"]


@pytest.mark.parametrize(
    ("module", "name", "carried"),
    [("sender", "Sender.publish", 0), ("confirmer", "Confirmer.add", MEMBERS)],
)
async def test_a_sender_killed_between_the_two_has_lost_nothing(
    tmp_path: Path, module: str, name: str, carried: int
) -> None:
    """Before it published, or before it could say that this was confirmed: with the first steps all that waits for
    them is there."""
    url, backend = rabbitmq.fresh_url(), f"sqlite:///{tmp_path}/results.db"
    script = SENDER.format(module=module, name=name)
    sender = await asyncio.create_subprocess_exec(sys.executable, "-c", script, url, backend)
    assert await asyncio.wait_for(sender.wait(), LONG) == -signal.SIGKILL
    passed = 0.0
    scene = Scene(url, lambda: time.time() + passed, backend)
    await scene.engine.broker.open()
    await scene.join(lease=1000.0)
    assert await rabbitmq.depth(url, LANE) == carried
    if not carried:
        assert await scene.take() == [], "somebody may be about to publish it"
        passed = CONFIRM_WITHIN + 1
    taken = await drained(scene, "after")
    assert sorted(ids(taken)) == sorted(one.id for one in workflow())
    assert {one.deliveries for one in taken} == {1}
    assert await scene.engine.inspector.find(Search(state=State.SCHEDULED)) == []
    await scene.engine.broker.close()
    assert await rabbitmq.depth(url, LANE) == 0, "no copy is left"
    await rabbitmq.clean(url)
