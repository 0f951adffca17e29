"""Marks of joins: in their rows of 62, over several rounds, and gone with what they were for."""

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from polypool.brokers.sqlite import joins
from polypool.core.join import OPEN, Flow, Next
from polypool.core.lifecycle import State
from polypool.core.message import Message
from polypool.core.outcome import Cancelled, Done, Failed, Failure, Outcome, Replaced
from polypool.core.report import Search
from tests.conformance.scene import Clock, Scene, ids, message

DONE, BOOM = Done(b"\xc0"), Failed(Failure("E", "boom"))


@pytest.fixture
async def scene(tmp_path: Path, clock: Clock) -> AsyncIterator[Scene]:
    made = Scene(f"sqlite:///{tmp_path}/tasks.db", clock)
    await made.engine.broker.open()
    await made.join()
    yield made
    await made.engine.broker.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def step(id: str, *then: Next, waits: int = 0) -> Message:
    return message(id, flow=Flow(waits, then))


def marks(scene: Scene) -> list[tuple[int, int]]:
    """Span and bits of every row there is."""
    connection = sqlite3.connect(Path(scene.url.removeprefix("sqlite:///")))
    rows = connection.execute("SELECT span, bits FROM mark").fetchall()
    connection.close()
    return rows


async def settle(scene: Scene, outcomes: Sequence[tuple[Any, Outcome]]) -> list[bool]:
    return list(await scene.engine.broker.settle([scene.settlement(one, outcome) for one, outcome in outcomes]))


async def test_places_in_any_order_and_marked_twice_make_a_join_ready_with_the_last(scene: Scene) -> None:
    places = [*range(200), *range(0, 200, 3)]
    random.Random(1).shuffle(places)
    put = [step(f"m{number}", Next("body", place)) for number, place in enumerate(places)]
    await scene.engine.broker.put([step("body", waits=200), *put])
    deliveries = await scene.take(1000)
    missing = set(range(200))
    while missing:
        assert await scene.state("body") == "scheduled"
        batch, deliveries = deliveries[:7], deliveries[7:]
        assert all(await settle(scene, [(one, DONE) for one in batch]))
        missing -= {next.place for one in batch for next in one.message.flow.then}  # type: ignore[union-attr]
    assert await scene.state("body") == "queued"
    assert marks(scene) == []


async def test_a_join_of_thousands_keeps_a_row_for_sixty_two(scene: Scene) -> None:
    members = [step(f"m-{place}", Next("body", place)) for place in range(1240)]
    await scene.engine.broker.put([step("body", waits=1241), *members])
    assert all(await settle(scene, [(one, DONE) for one in await scene.take(2000)]))
    full = (1 << joins.SPAN) - 1
    assert sorted(marks(scene)) == [(joins.COUNT, 1240), *((span, full) for span in range(20))]


async def test_one_ending_can_tell_more_than_one_round_of_signals_holds(scene: Scene) -> None:
    await scene.engine.broker.put([step("a", Next("m", count=2500)), step("body", waits=2500)])
    await scene.engine.broker.put([step(f"m-{place}", Next("body", place), waits=1) for place in range(2500)])
    assert await scene.settle(await scene.take_one())
    assert all(await settle(scene, [(one, DONE) for one in await scene.take(3000)]))
    assert ids(await scene.take()) == ["body"]


async def test_of_a_batch_with_a_stale_settlement_only_the_others_mark(scene: Scene) -> None:
    await scene.engine.broker.put([step("body", waits=2), *(step(f"m-{n}", Next("body", n)) for n in range(2))])
    first, second = await scene.take()
    assert await settle(scene, [(first, DONE), (first, DONE), (second, BOOM)]) == [True, False, True]
    [body] = await scene.take()
    assert body.cause is not None, "the failure counts, after one mark"
    await scene.engine.broker.put([step("next", waits=2), step("a", Next("next", 0)), step("b", Next("next", 1))])
    a, b = await scene.take()
    assert await scene.settle(a, Cancelled())
    assert await settle(scene, [(a, DONE), (b, DONE)]) == [False, True]
    [broken] = await scene.take()
    assert (broken.id, broken.cause is None) == ("next", False)


async def test_the_order_of_a_batch_is_the_order_of_its_signals(scene: Scene) -> None:
    for name, order in (("broken", [1, 0]), ("whole", [0, 1])):
        await scene.engine.broker.put([step(name, waits=1), step("a", Next(name)), step("b", Next(name))])
        pair = await scene.take()
        outcomes = list(zip(pair, (DONE, BOOM), strict=True))
        assert all(await settle(scene, [outcomes[place] for place in order]))
        [taken] = await scene.take()
        assert (taken.id, taken.cause is None) == (name, name == "whole")
        await scene.settle(taken)
        scene.clock.move(1_000_000)  # type: ignore[attr-defined]
        await scene.join()


async def test_what_is_settled_at_once_by_many_makes_a_join_ready_once(scene: Scene) -> None:
    members = [step(f"m-{place}", Next("body", place)) for place in range(100)]
    await scene.engine.broker.put([step("body", waits=100), *members])
    deliveries = await scene.take(100)
    assert all(await asyncio.gather(*(scene.settle(one) for one in deliveries)))
    [body] = await scene.take()
    assert (body.id, body.token) == ("body", 1)


async def _release(scene: Scene) -> None:
    await scene.engine.broker.put([step("last", Next("body", 1))])
    await scene.settle(await scene.take_one())


async def _break(scene: Scene) -> None:
    await scene.engine.broker.put([step("last", Next("body", 1))])
    await scene.settle(await scene.take_one(), BOOM)


async def _drop(scene: Scene) -> None:
    await scene.engine.broker.put([step("last", Next("body", 1, "failure"))])
    await scene.settle(await scene.take_one())


async def _cancel(scene: Scene) -> None:
    assert await scene.engine.broker.cancel(["body"]) == [True]


async def _purge(scene: Scene) -> None:
    assert await scene.engine.inspector.act("purge", Search(ids=("body",))) == 1


@pytest.mark.parametrize("over", [_release, _break, _drop, _cancel, _purge])
async def test_no_mark_outlives_the_waiting(scene: Scene, over: Callable[[Scene], Any]) -> None:
    await scene.engine.broker.put([step("body", waits=2), step("a", Next("body", 0))])
    await scene.settle(await scene.take_one())
    assert sorted(marks(scene)) == [(joins.COUNT, 1), (0, 1)]
    await over(scene)
    assert marks(scene) == []


async def test_no_mark_outlives_the_seal(scene: Scene) -> None:
    await scene.engine.broker.put([step("body", waits=OPEN), step("a", Next("body", 0))])
    await scene.settle(await scene.take_one())
    assert await scene.engine.broker.seal("body", 1)
    assert marks(scene) == [] and await scene.state("body") == "queued"


async def test_what_waits_again_begins_with_no_place_marked(scene: Scene) -> None:
    await scene.engine.broker.put([step("a", Next("body", 0)), step("b", Next("body", 1)), step("body", waits=2)])
    assert all(await settle(scene, [(one, DONE) for one in await scene.take()]))
    [body] = await scene.take()
    again = [step("x", Next("body", 0)), step("y", Next("body", 2))]
    assert await scene.settle(body, Replaced(again, Flow(2)))
    x, y = await scene.take()
    assert await scene.settle(y)
    assert await scene.state("body") == "scheduled"
    assert await scene.settle(x)
    assert ids(await scene.take()) == ["body"]


async def test_purging_a_line_leaves_what_comes_into_it_by_that(scene: Scene) -> None:
    """Or a step would vanish whose ending others wait for."""
    await scene.engine.broker.put([step("b", waits=1), step("a", Next("b"))])
    assert await scene.engine.inspector.act("purge", Search(state=State.QUEUED)) == 1
    [taken] = await scene.take()
    assert (taken.id, taken.cause is None) == ("b", False)


async def test_purging_thousands_tells_their_join_once(scene: Scene) -> None:
    members = [step(f"m-{place}", Next("body", place)) for place in range(2100)]
    await scene.engine.broker.put([step("body", waits=2100), *members])
    assert await scene.engine.inspector.act("purge", Search(state=State.QUEUED)) == 2100
    [body] = await scene.take()
    assert (body.id, body.cause is None) == ("body", False)


@pytest.mark.parametrize("is_first", [True, False])
async def test_a_callback_cancelled_with_its_task_is_gone_or_cancelled_by_the_order(
    scene: Scene, is_first: bool
) -> None:
    await scene.engine.broker.put([step("a", Next("back", 0, "success")), step("back", waits=1)])
    asked = ["back", "a"] if is_first else ["a", "back"]
    assert await scene.engine.broker.cancel(asked) == [True, is_first]
    assert await scene.state("back") == ("cancelled" if is_first else None)
    assert await scene.state("a") == "cancelled"
