"""Steps that wait for other steps, on every engine: they run once, when all before them succeeded, or are ended."""

from collections.abc import Sequence
from typing import Any

import pytest

from polypool.brokers.answer import converse
from polypool.core.codec import decode
from polypool.core.decide import refuse
from polypool.core.gather import by_reference, reference_in
from polypool.core.join import NO_PLACE, OPEN, Flow, Input, Next, One, When
from polypool.core.late import looked_back
from polypool.core.lifecycle import State
from polypool.core.message import Delivery, Message
from polypool.core.outcome import Cancelled, Cause, Done, Failed, Failure, Lost, Replaced, Retry
from polypool.core.report import Search
from tests.conformance.scene import LANE, Scene, ids, message

BOOM = Failed(Failure("builtins.ValueError", "boom"))


def step(id: str, *then: Next | str, waits: int = 0, **flow: Any) -> Message:
    """A step that waits for so many, and whom it tells."""
    edges = tuple(Next(one) if isinstance(one, str) else one for one in then)
    return message(id, flow=Flow(waits, edges, **flow))


async def send(scene: Scene, *steps: Message) -> None:
    assert all(await scene.engine.broker.put(steps))


async def run(scene: Scene, *expected: str, outcome: Any = None) -> None:
    """Take what there is, which must be these, and end it so."""
    deliveries = await scene.take()
    assert sorted(ids(deliveries)) == sorted(expected)
    ends: Sequence[bool] = await scene.engine.broker.settle(
        [
            scene.settlement(one, outcome or refuse(one, ["app.work"], scene.clock()) or Done(b"\xc0"))
            for one in deliveries
        ]
    )
    assert all(ends)


async def scheduled(scene: Scene) -> int:
    return sum(count.scheduled for count in await scene.engine.inspector.lanes())


async def test_a_chain_runs_one_step_after_the_other(scene: Scene) -> None:
    await send(scene, step("a", "b"), step("b", "c", waits=1), step("c", waits=1))
    await scene.join()
    for name in "abc":
        await run(scene, name)
    assert [await scene.state(name) for name in "abc"] == ["succeeded"] * 3


async def test_a_step_that_waits_is_scheduled_and_in_no_line(scene: Scene) -> None:
    await send(scene, step("b", waits=1))
    await scene.join()
    assert await scene.take() == []
    assert await scene.state("b") == "scheduled"
    assert await scheduled(scene) == 1
    [view] = await scene.engine.inspector.find(Search(state=State.SCHEDULED))
    assert (view.id, view.due, view.flow) == ("b", None, Flow(1))


async def test_no_time_makes_a_step_ready(scene: Scene) -> None:
    await send(scene, step("b", waits=1))
    await scene.join()
    for _ in range(3):
        scene.clock.move(10_000_000)  # type: ignore[attr-defined]
        await scene.join()
        assert await scene.take() == []


async def test_a_join_waits_for_all_of_its_places(scene: Scene) -> None:
    members = [step(f"m-{place}", Next("body", place)) for place in range(5)]
    await send(scene, step("body", waits=5), *members)
    await scene.join()
    deliveries = await scene.take()
    for delivery in deliveries[:-1]:
        assert await scene.settle(delivery)
        assert await scene.state("body") == "scheduled"
    assert await scene.settle(deliveries[-1])
    await run(scene, "body")
    assert await scheduled(scene) == 0


async def test_a_join_is_complete_when_its_members_end_in_one_batch(scene: Scene) -> None:
    await send(scene, step("body", waits=300), *(step(f"m-{place}", Next("body", place)) for place in range(300)))
    await scene.join()
    deliveries = await scene.take(limit=300)
    assert all(await scene.engine.broker.settle([scene.settlement(one, Done(b"\xc0")) for one in deliveries]))
    await run(scene, "body")


async def test_a_place_counts_once_however_often_it_is_marked(scene: Scene) -> None:
    await send(scene, step("body", waits=2), step("a", Next("body", 0)), step("again", Next("body", 0)))
    await scene.join()
    await run(scene, "a", "again")
    assert await scene.state("body") == "scheduled"
    await send(scene, step("b", Next("body", 1)))
    await run(scene, "b")
    await run(scene, "body")


async def test_a_stale_settlement_marks_nothing(scene: Scene) -> None:
    await send(scene, step("b", waits=1), step("a", "b"))
    await scene.join()
    delivery = await scene.take_one()
    scene.clock.move(7)  # type: ignore[attr-defined]
    await scene.join("w2")
    [again] = await scene.take(worker="w2")
    assert not await scene.settle(delivery)
    assert await scene.state("b") == "scheduled"
    assert await scene.settle(again)
    await scene.join()
    await run(scene, "b")


async def test_what_was_marked_stays_when_a_worker_dies_between_two_members(scene: Scene) -> None:
    await send(scene, step("body", waits=2), step("m-0", Next("body", 0)), step("m-1", Next("body", 1)))
    await scene.join()
    first, _ = await scene.take()
    assert await scene.settle(first)
    scene.clock.move(7)  # type: ignore[attr-defined]
    await scene.join("w2")
    [second] = await scene.take(worker="w2")
    assert await scene.settle(second)
    [body] = await scene.take(worker="w2")
    assert body.id == "body" and body.deliveries == 1


async def test_an_open_join_waits_until_its_sender_has_counted(scene: Scene) -> None:
    await send(scene, step("body", waits=OPEN), step("m-0", Next("body", 0)), step("m-1", Next("body", 1)))
    await scene.join()
    await run(scene, "m-0", "m-1")
    assert await scene.state("body") == "scheduled"
    assert await scene.engine.broker.seal("body", 2)
    await run(scene, "body")
    assert not await scene.engine.broker.seal("body", 2)


async def test_a_sealed_join_waits_for_the_rest(scene: Scene) -> None:
    await send(scene, step("body", waits=OPEN), step("m-0", Next("body", 0)))
    assert await scene.engine.broker.seal("body", 1)
    assert await scene.engine.broker.seal("body", 1)
    await scene.join()
    await run(scene, "m-0")
    await run(scene, "body")


async def test_an_open_join_of_nothing_runs_once_sealed(scene: Scene) -> None:
    await send(scene, step("body", waits=OPEN))
    assert await scene.engine.broker.seal("body", 0)
    await scene.join()
    await run(scene, "body")
    assert not await scene.engine.broker.seal("nobody", 1)


async def test_a_failure_ends_every_step_behind_it_and_says_where_it_was(scene: Scene) -> None:
    await send(scene, step("a", "b"), step("b", "c", waits=1), step("c", waits=1))
    await scene.join()
    await run(scene, "a", outcome=BOOM)
    [delivery] = await scene.take()
    assert delivery.cause is not None
    cause = decode(delivery.cause, Cause)
    assert cause.failure.message == "boom" and cause.failure.origin is not None and cause.failure.origin.id == "a"
    assert refuse(delivery, ["app.work"], scene.clock()) == Failed(cause.failure)
    assert await scene.settle(delivery, Failed(cause.failure))
    await run(scene, "c")
    [record] = await scene.engine.results.read(["c"])
    assert record is not None and record.state == "failed" and record.failure == cause.failure


async def test_the_first_failure_ends_a_join_once(scene: Scene) -> None:
    await send(scene, step("body", waits=3), *(step(f"m-{place}", Next("body", place)) for place in range(3)))
    await scene.join()
    first, second, third = await scene.take()
    assert await scene.settle(first, BOOM)
    await run(scene, "body")
    assert await scene.settle(second, BOOM) and await scene.settle(third)
    assert await scene.take() == []
    [record] = await scene.engine.results.read(["body"])
    assert record is not None and record.failure is not None and record.failure.origin is not None
    assert record.failure.origin.id == first.id


async def test_a_cause_outlives_the_worker_that_was_given_it(scene: Scene) -> None:
    await send(scene, step("a", "b"), step("b", waits=1))
    await scene.join()
    await run(scene, "a", outcome=BOOM)
    [lost] = await scene.take()
    scene.clock.move(7)  # type: ignore[attr-defined]
    await scene.join("w2")
    [again] = await scene.take(worker="w2")
    assert again.cause == lost.cause is not None


@pytest.mark.parametrize(
    ("when", "outcome", "runs"),
    [
        ("success", Done(b"\xc0"), True),
        ("success", BOOM, False),
        ("success", Cancelled(), False),
        ("failure", Done(b"\xc0"), False),
        ("failure", BOOM, True),
        ("failure", Cancelled(), False),
    ],
)
async def test_a_callback_runs_for_its_ending_and_is_gone_otherwise(
    scene: Scene, when: When, outcome: Any, runs: bool
) -> None:
    tail = Next("tail", -1, when)
    await send(scene, step("a", Next("back", 0, when), tail), step("back", "tail", waits=1), step("tail", waits=1))
    await scene.join()
    await run(scene, "a", outcome=outcome)
    if runs:
        await run(scene, "back")
        await run(scene, "tail")
    else:
        assert await scene.take() == []
        assert [await scene.state(id) for id in ("back", "tail")] == [None, None]
        assert await scheduled(scene) == 0


async def test_a_retry_marks_nothing_and_the_step_does_not_wait_again(scene: Scene) -> None:
    await send(scene, step("a", "b"), step("b", "c", waits=1), step("c", waits=1))
    await scene.join()
    await run(scene, "a", outcome=Retry(countdown=0))
    await run(scene, "a")
    await run(scene, "b", outcome=Retry(countdown=0))
    assert await scene.state("c") == "scheduled"
    await run(scene, "b", outcome=Lost("killed"))
    await run(scene, "b")
    await run(scene, "c")


async def test_dead_letters_end_what_waited_for_them(scene: Scene) -> None:
    await send(scene, step("a", "b"), step("b", waits=1))
    await scene.join()
    for _ in range(3):
        await run(scene, "a", outcome=Lost("killed"))
    await run(scene, "b")
    [record] = await scene.engine.results.read(["b"])
    assert record is not None and record.state == "failed"


@pytest.mark.parametrize("is_waiting", [True, False])
async def test_cancelling_a_step_that_has_not_begun_ends_what_waits_for_it(scene: Scene, is_waiting: bool) -> None:
    await send(scene, step("a", "b"), step("b", "c", waits=1), step("c", waits=1))
    await scene.join()
    if is_waiting:
        assert await scene.engine.broker.cancel(["b"]) == [True]
    else:
        assert await scene.engine.broker.cancel(["a"]) == [True]
        await run(scene, "b")
    taken = [one for one in await scene.take() if one.id == "c"]
    assert len(taken) == 1 and taken[0].cause is not None
    assert isinstance(refuse(taken[0], ["app.work"], scene.clock()), Cancelled)


async def test_cancelling_a_whole_workflow_ends_all_of_it(scene: Scene) -> None:
    await send(scene, step("a", "b"), step("b", "c", waits=1), step("c", waits=1))
    await scene.join()
    delivery = await scene.take_one()
    assert await scene.engine.broker.cancel(["a", "b", "c"]) == [True] * 3
    assert await scene.settle(delivery, Cancelled())
    assert await scene.take() == []
    assert [await scene.state(id) for id in "abc"] == ["cancelled"] * 3
    assert await scheduled(scene) == 0


async def test_purging_a_step_ends_what_waits_for_it(scene: Scene) -> None:
    await send(scene, step("a", "b"), step("b", waits=1))
    await scene.join()
    assert await scene.engine.inspector.act("purge", Search(ids=("a",))) == 1
    [delivery] = await scene.take()
    assert delivery.id == "b" and delivery.cause is not None


async def test_purging_what_waits_takes_waiting_steps_along(scene: Scene) -> None:
    await send(scene, step("b", "c", waits=1), step("c", waits=1))
    assert await scene.engine.inspector.act("purge", Search(ids=("b", "c"))) == 2
    await scene.join()
    assert await scene.take() == []
    assert await scheduled(scene) == 0


async def test_purging_a_step_with_its_callback_takes_both(scene: Scene) -> None:
    await send(scene, step("a", Next("back", 0, "success")), step("back", waits=1))
    await scene.engine.inspector.act("purge", Search(ids=("a", "back")))
    await scene.join()
    assert await scene.take() == []
    assert [await scene.state(id) for id in ("a", "back")] == [None, None]
    assert await scheduled(scene) == 0


async def test_a_ready_step_waits_for_its_countdown(scene: Scene) -> None:
    await send(scene, step("a", "b"), step("b", waits=1, countdown=30.0))
    await scene.join()
    scene.clock.move(5)  # type: ignore[attr-defined]
    await run(scene, "a")
    assert await scene.take() == [] and await scene.state("b") == "scheduled"
    scene.clock.move(29)  # type: ignore[attr-defined]
    await scene.join()
    assert await scene.take() == []
    scene.clock.move(2)  # type: ignore[attr-defined]
    await run(scene, "b")


async def test_a_ready_step_waits_for_its_eta(scene: Scene) -> None:
    now = scene.clock()
    await send(scene, step("a", "b", "late"), step("b", waits=1), message("late", due=now + 60, flow=Flow(1)))
    await scene.join()
    await run(scene, "a")
    await run(scene, "b")
    assert await scene.state("late") == "scheduled"
    scene.clock.move(61)  # type: ignore[attr-defined]
    await scene.join()
    await run(scene, "late")


async def test_a_broken_step_waits_for_no_time(scene: Scene) -> None:
    await send(scene, step("a", "b"), step("b", waits=1, countdown=30.0))
    await scene.join()
    await run(scene, "a", outcome=BOOM)
    await run(scene, "b")


async def test_a_step_can_tell_many_at_once(scene: Scene) -> None:
    await send(scene, step("a", Next("m", count=50)), *(step(f"m-{place}", waits=1) for place in range(50)))
    await scene.join()
    await run(scene, "a")
    await run(scene, *(f"m-{place}" for place in range(50)))


async def test_a_workflow_returned_takes_its_tasks_place(scene: Scene) -> None:
    await send(scene, step("a", "b"), step("b", waits=1))
    await scene.join()
    flow = Flow(1, inputs=(Input(One("a.0")),), gathers=True, replacement=b"\x80")
    await run(scene, "a", outcome=Replaced([step("a.0", "a")], flow))
    assert await scene.state("a") == "scheduled"
    await run(scene, "a.0")
    await run(scene, "a")
    [record] = await scene.engine.results.read(["a"])
    assert record is not None and record.value == by_reference(One("a.0"))
    assert reference_in(record.value) == One("a.0")
    [view] = await scene.engine.inspector.find(Search(ids=("a",)))
    assert view.flow is not None and view.flow.replacement == b"\x80"
    await run(scene, "b")


async def test_a_workflow_that_was_over_before_the_run_that_returned_it_ends_that_one_too(scene: Scene) -> None:
    await send(scene, step("a", "b"), step("b", waits=1))
    await scene.join()
    returning = await scene.take_one()
    await send(scene, step("a~", "a", waits=OPEN), step("a~-0", Next("a~", 0)), step("a~-1", Next("a~", 1)))
    await run(scene, "a~-0", "a~-1", outcome=BOOM)
    await run(scene, "a~")  # its signal finds nobody who waits
    last = step("a~-all", Next("a~", 2), Next("a", NO_PLACE), ends_with="a~", gathers=True, inputs=(Input(One("a~")),))
    assert await scene.settle(returning, Replaced([last], Flow(1, inputs=(Input(One("a~")),), gathers=True)))
    assert await scene.state("a") == "scheduled"
    [taken] = await scene.take()
    seen = await converse(scene.engine, looked_back(taken))
    assert await scene.settle(seen, refuse(seen, ["app.work"], scene.clock()) or Done(b"\xc0"))
    await run(scene, "a")
    await run(scene, "b")
    [record] = await scene.engine.results.read(["b"])
    assert record is not None and record.failure is not None and record.failure.origin is not None
    assert (record.state, record.failure.message, record.failure.origin.id[:3]) == ("failed", "boom", "a~-")


async def test_a_workflow_that_goes_on_is_waited_for_by_the_run_that_returned_it(scene: Scene) -> None:
    await send(scene, step("a"))
    await scene.join()
    returning = await scene.take_one()
    await send(scene, step("a~", "a", waits=OPEN), step("a~-0", Next("a~", 0)))
    assert await scene.engine.broker.seal("a~", 2)
    last = step("a~-all", Next("a~", 1), Next("a", NO_PLACE), ends_with="a~", gathers=True, inputs=(Input(One("a~")),))
    assert await scene.settle(returning, Replaced([last], Flow(1, inputs=(Input(One("a~")),), gathers=True)))
    for taken in await scene.take():
        seen = await converse(scene.engine, looked_back(taken))
        assert await scene.settle(seen, refuse(seen, ["app.work"], scene.clock()) or Done(b"\xc0"))
        assert await scene.state("a") == "scheduled"
    await run(scene, "a~")
    await run(scene, "a")
    assert await scene.state("a") == "succeeded"


async def test_a_plan_is_kept_with_the_ending(scene: Scene) -> None:
    await send(scene, step("a", "b"), step("b", waits=1, plan=b"plan"))
    await scene.join()
    await run(scene, "a")
    await run(scene, "b")
    views = {view.id: view for view in await scene.engine.inspector.find(Search(ids=("a", "b")))}
    assert views["b"].flow is not None and views["b"].flow.plan == b"plan"
    assert views["b"].state == "succeeded"


@pytest.mark.parametrize("ends", ["cancel", "fail"])
async def test_a_plan_is_kept_however_its_step_ends(scene: Scene, ends: str) -> None:
    await send(scene, step("b", waits=1, plan=b"plan"), step("a", "b"))
    await scene.join()
    if ends == "cancel":
        assert await scene.engine.broker.cancel(["b"]) == [True]
    else:
        await run(scene, "a", outcome=BOOM)
        await run(scene, "b")
    [view] = await scene.engine.inspector.find(Search(ids=("b",)))
    assert view.flow is not None and view.flow.plan == b"plan"


async def test_a_join_survives_a_restart_of_whoever_wrote_it(scene: Scene) -> None:
    await send(scene, step("body", waits=2), step("m-0", Next("body", 0)), step("m-1", Next("body", 1)))
    await scene.join()
    first, second = await scene.take()
    assert await scene.settle(first)
    other = await scene.another()
    assert list(await other.broker.settle([scene.settlement(second, Done(b"\xc0"))])) == [True]
    taken: list[Delivery] = list(await other.broker.take([LANE], 10, "w1", 0))
    assert ids(taken) == ["body"]
