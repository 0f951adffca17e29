"""Whatever fails, a workflow that is retried often enough comes to what it would have come to at once."""

import random

import pytest

from polypool.brokers.answer import converse
from polypool.brokers.memory import MemoryEngine
from polypool.canvas.shape import Chain, Shape
from polypool.core.codec import decode_any
from polypool.core.gather import read_value
from polypool.core.join import One
from polypool.core.outcome import Done, Failed, Failure
from polypool.results.repeating import retry
from polypool.results.surveying import survey
from tests.conformance.flow_hands import Hands
from tests.conformance.flow_oracle import play
from tests.conformance.flow_sent import replaced, sent
from tests.conformance.flow_shapes import Composer, call
from tests.conformance.scene import Clock, Scene

BOOM = Failed(Failure("builtins.ValueError", "boom"))
UNLUCKY_ROUNDS = 4


async def carry_out(hands: Hands, dice: random.Random, failing: float) -> None:
    """Until nothing goes on any more; so many of the runs fail."""
    worker = await hands.hire()
    idle = 0
    while idle < 4:
        taken = await hands.take(worker, 100)
        idle = 0 if taken else idle + 1
        for held in list(hands.holds[worker]):
            await hands.run(held)
            flow = held.delivery.message.flow
            is_step = flow is None or not flow.gathers
            if isinstance(held.outcome, Done) and is_step and dice.random() < failing:
                held.outcome = BOOM
        await hands.settle(worker, list(hands.holds[worker]))
        await hands.sleep_past_leases(but=[worker])


@pytest.mark.parametrize("seed", range(4))
async def test_a_workflow_comes_to_its_value_in_the_end(scene: Scene, seed: int) -> None:
    many = 25 if isinstance(scene.engine, MemoryEngine) else 1
    for number in range(seed * many, (seed + 1) * many):
        await retry_until_it_succeeds(scene, random.Random(number), f"W{number}")


async def retry_until_it_succeeds(scene: Scene, dice: random.Random, first: str) -> None:
    shape: Shape = Chain((Composer(dice, failing=0.0).shape(), call("end")))
    clock = scene.clock
    assert isinstance(clock, Clock)
    hands = Hands(scene.engine, clock, replaced(clock))
    assert all(await scene.engine.broker.put(sent(shape, first, clock()).messages))
    id, failing = first, 0.25
    await carry_out(hands, dice, failing)
    for number in range(UNLUCKY_ROUNDS + 1):
        if await scene.state(id) == "succeeded":
            break
        failing = 0.25 if number + 1 < UNLUCKY_ROUNDS else 0.0
        again = f"{first}again{number}"
        report = await converse(scene.engine, retry(id, again, clock()))
        assert report.gone == 0
        await carry_out(hands, dice, failing)
        id = again
    assert await scene.state(id) == "succeeded"
    assert decode_any(await hands.asked(read_value(One(id)))) == play(shape).ending.value
    assert (await converse(scene.engine, survey(id, clock()))).root.state == "succeeded"
