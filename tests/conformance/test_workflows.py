"""Composed workflows come to what plain function calls come to, whoever dies on the way, on every engine."""

import asyncio
import random

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from polypool.canvas.shape import Chain, Chord, Group, Shape
from polypool.core.codec import encode
from tests.conformance.flow_check import Workflow, check, check_states
from tests.conformance.flow_hands import Hands
from tests.conformance.flow_sent import replaced, sent
from tests.conformance.flow_shapes import Composer, Deed, call
from tests.conformance.flow_storm import Storm
from tests.conformance.scene import PATIENCE, Clock, Scene

ROUNDS = 3


def three(prefix: str) -> Group:
    return Group(tuple(call(f"{prefix}{n}") for n in range(3)))


FORMS: dict[str, Shape] = {
    "one task": call("a"),
    "chain": Chain((call("a"), call("b"), call("c"))),
    "group": three("m"),
    "chord": Chord(three("m"), call("body")),
    "chain of groups": Chain((call("a"), three("m"), three("n"), call("z"))),
    "group of chains": Group(tuple(Chain((call(f"{n}a"), call(f"{n}b"))) for n in range(3))),
    "chord in a chord": Chord(Group((Chord(three("m"), call("inner")), call("beside"))), call("body")),
    "group of chords": Group(tuple(Chord(three(f"{n}m"), call(f"{n}body")) for n in range(3))),
    "chord whose body is a chain": Chord(three("m"), Chain((call("x"), three("n"), call("y")))),
    "immutable steps": Chain((call("a"), call("b", is_immutable=True), call("c", countdown=3.0))),
    "a step that fails": Chain((call("a"), call("b", "fail"), call("c"), call("d"))),
    "a member that fails": Chain((Chord(Group((call("m0"), call("m1", "fail"))), call("body")), call("z"))),
    "steps that try again": Chord(Group(tuple(call(f"m{n}", "retry") for n in range(3))), call("body", "retry")),
    "a diamond": Group(
        (
            call("a", name="a"),
            call("b", name="b", after=("a",)),
            call("c", name="c", after=("a",)),
            call("d", name="d", after=("b", "c")),
        )
    ),
    "a diamond that breaks": Group(
        (
            call("a", name="a"),
            call("b", "fail", name="b", after=("a",)),
            call("c", name="c", after=("a",)),
            call("d", name="d", after=("b", "c")),
        )
    ),
    "callbacks": Chain(
        (
            call("a", on_success=(call("a-ok"),), on_failure=(call("a-no"),)),
            call("b", "fail", on_success=(call("b-ok"),), on_failure=(Chain((call("b-no"), call("b-then"))),)),
        ),
        on_failure=(call("no"),),
        on_success=(Chain((call("ok"), call("ok-then"))),),
    ),
    "an error callback of a chord": Chord(
        Group((call("m0", "fail"), call("m1", "fail"), call("m2"))), call("body"), on_failure=(call("no"),)
    ),
    "a task that returns a workflow": Chain(
        (call("a"), call(Deed("b", "unfold", encode(Chord(three("m"), call("body"))))), call("c"))
    ),
    "a workflow returned that fails": Chain(
        (call(Deed("a", "unfold", encode(Chain((call("x"), call("y", "fail"))))), on_failure=(call("no"),)), call("b"))
    ),
    "a task that returns one that returns one": call(
        Deed("a", "unfold", encode(call(Deed("b", "unfold", encode(Chain((call("c"), call("d"))))))))
    ),
    "a chunk": Chord(Group(tuple(call(f"m{n}", args=[[n, n + 1]], each="item") for n in range(3))), call("body")),
}


@pytest.mark.parametrize("form", FORMS)
async def test_each_form_comes_to_what_plain_function_calls_come_to(scene: Scene, form: str) -> None:
    await carried_out(scene, [FORMS[form]], random.Random(form), acts=40)


@pytest.mark.parametrize("seed", range(4))
async def test_random_workflows_come_to_what_plain_function_calls_come_to(scene: Scene, seed: int) -> None:
    dice = random.Random(f"workflows {seed}")
    composer = Composer(dice, steps=60)
    await carried_out(scene, [composer.shape() for _ in range(4)], dice, acts=150)


@pytest.mark.parametrize("seed", range(3))
async def test_a_workflow_that_is_cancelled_at_any_moment_leaves_nothing_waiting(scene: Scene, seed: int) -> None:
    dice = random.Random(f"cancelled {seed}")
    hands = Hands(scene.engine, scene.clock, replaced(scene.clock))  # type: ignore[arg-type]
    workflow = sent(Chain((Composer(dice, steps=30, failing=0).chain(3), call("the-end"))), "W", scene.clock())
    assert all(await scene.engine.broker.put(workflow.messages))
    storm = Storm(hands, dice)
    await storm.rage(10 + 10 * seed)
    cancelled = await scene.engine.broker.cancel([message.id for message in workflow.messages])
    assert any(cancelled), "it was over already: the test proves nothing"
    await storm.rage(10)
    await hands.finish(patience_of(scene))
    assert await scene.state("W") == "cancelled"
    assert hands.seen.begun["the-end"] == 0
    await check_states(hands, [workflow])


async def carried_out(scene: Scene, shapes: list[Shape], dice: random.Random, acts: int) -> None:
    """Send, let crashes rage, work off what is left, compare."""
    hands = Hands(scene.engine, scene.clock, replaced(scene.clock))  # type: ignore[arg-type]
    workflows = [sent(shape, f"W{number}", scene.clock()) for number, shape in enumerate(shapes)]
    for workflow in workflows:
        assert all(await scene.engine.broker.put(workflow.messages))
    await Storm(hands, dice).rage(acts)
    await hands.finish(patience_of(scene))
    await check(hands, workflows)


def patience_of(scene: Scene) -> float:
    """How long what was queued may be on its way to a worker."""
    return PATIENCE if scene.engine.broker.traits.needs_backend else 0.0


class WorkflowMachine(RuleBasedStateMachine):
    """Sends random workflows and does whatever may happen to them, in any order; at the end what is left is worked
    off in peace and all is compared."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = Clock()
        self.scene = Scene("memory://", self.clock)
        self.hands = Hands(self.scene.engine, self.clock, replaced(self.clock))
        self.workflows: list[Workflow] = []

    @initialize(dice=st.randoms(use_true_random=False))
    def meet(self, dice: random.Random) -> None:
        self.composer = Composer(dice, steps=60)
        self.storm = Storm(self.hands, dice)
        self.send()

    @precondition(lambda self: len(self.workflows) < ROUNDS)
    @rule()
    def send(self) -> None:
        workflow = sent(self.composer.shape(), f"W{len(self.workflows)}", self.clock())
        assert all(self.runner.run(self.scene.engine.broker.put(workflow.messages)))
        self.workflows.append(workflow)

    @rule()
    def send_again(self) -> None:
        """As one does who did not hear the answer."""
        known = [one for one in self.workflows[-1].messages if "!" not in one.id]
        assert not any(self.runner.run(self.scene.engine.broker.put(known)))

    @rule()
    def take(self) -> None:
        self.runner.run(self.storm.take())

    @rule()
    def run_what_was_taken(self) -> None:
        self.runner.run(self.storm.run())

    @rule()
    def settle(self) -> None:
        self.runner.run(self.storm.settle())

    @rule()
    def settle_again(self) -> None:
        self.runner.run(self.storm.settle_again())

    @rule()
    def kill(self) -> None:
        self.runner.run(self.storm.kill())

    @rule()
    def oversleep(self) -> None:
        self.runner.run(self.storm.oversleep())

    @rule()
    def let_pass(self) -> None:
        self.runner.run(self.storm.let_pass())

    def teardown(self) -> None:
        try:
            self.runner.run(self.hands.finish())
            self.runner.run(check(self.hands, self.workflows))
        finally:
            self.runner.close()


def test_no_order_of_events_tells_a_workflow_from_plain_function_calls() -> None:
    quick = settings(max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(WorkflowMachine, settings=quick)
