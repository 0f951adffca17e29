"""What every engine promises of messages that another one carries: enroll, confirm."""

import asyncio

import pytest

from polypool.core.error import MessageTooLarge
from polypool.core.lifecycle import State
from polypool.core.message import Lane, Policy
from polypool.core.outcome import Deferred, Lost, Outcome, Retry
from polypool.core.port import Claims
from polypool.core.report import Search
from tests.conformance.claims_seen import GUARD, LONG, claim_one, enroll
from tests.conformance.scene import LANE, PATIENCE, Clock, Scene, ids, message


async def test_what_is_enrolled_waits_but_is_handed_to_nobody(scene: Scene, claims: Claims) -> None:
    await enroll(claims, "a", "b")
    await scene.put("ordinary")
    await scene.join()
    assert ids(await scene.take()) == ["ordinary"]
    assert [await scene.state(id) for id in "ab"] == ["queued", "queued"]


async def test_what_is_parked_is_seen_as_queued(scene: Scene, claims: Claims, clock: Clock) -> None:
    await enroll(claims, "a", sent_at=clock() - 60)
    await enroll(claims, "b", sent_at=clock() - 50)
    await enroll(claims, "c", sent_at=clock() - 40)
    await claims.confirm(["a", "b"])
    [count] = await scene.engine.inspector.lanes()
    assert (count.queue, count.pool, count.queued, count.scheduled, count.running) == ("default", "threads", 3, 0, 0)
    assert count.oldest == clock() - 60
    found = await scene.engine.inspector.find(Search(state=State.QUEUED))
    assert [(view.id, view.state, view.due) for view in found] == [
        ("c", "queued", clock() - 40),
        ("b", "queued", clock() - 50),
        ("a", "queued", clock() - 60),
    ]
    assert ids(await scene.engine.inspector.find(Search(queue="default"))) == ["c", "b", "a"]
    [by_id] = await scene.engine.inspector.find(Search(ids=("b",)))
    assert by_id.state == "queued"


async def test_what_is_in_line_and_what_is_parked_are_counted_together(scene: Scene, claims: Claims) -> None:
    await enroll(claims, "a", "b", "c", "d")
    await claims.confirm(["a"])
    await scene.put("e")
    await scene.put("later", due=scene.clock() + 60)
    await scene.join()
    assert await claim_one(claims, "d") is not None
    [count] = await scene.engine.inspector.lanes()
    assert (count.queued, count.scheduled, count.running) == (4, 1, 1)


async def test_enrolling_a_known_id_is_refused_and_changes_nothing(scene: Scene, claims: Claims) -> None:
    await enroll(claims, "parked")
    await scene.put("waiting", "held")
    await enroll(claims, "over")
    await scene.engine.broker.cancel(["over"])
    await scene.join()
    held = await claim_one(claims, "held")
    assert held is not None
    names = ["parked", "waiting", "held", "over", "new", "new"]
    again = await claims.enroll([message(name, task="other") for name in names], GUARD)
    assert list(again) == [False, False, False, False, True, False]
    assert list(await scene.engine.broker.put([message("parked")])) == [False]
    assert ids(await scene.take()) == ["waiting"]
    assert await scene.state("over") == "cancelled"
    assert await scene.settle(held)
    [parked] = await claims.claim([message("parked")], "w1")
    assert parked is not None and parked.message.task == "app.work"


async def test_an_id_is_free_for_enrolling_as_soon_as_its_ending_is_over(
    scene: Scene, claims: Claims, clock: Clock
) -> None:
    await scene.put("a", policy=Policy(result_ttl=5.0))
    await scene.engine.broker.cancel(["a"])
    assert list(await claims.enroll([message("a")], GUARD)) == [False]
    clock.move(5)
    assert list(await claims.enroll([message("a")], GUARD)) == [True]
    await scene.join()
    assert await scene.take() == []
    assert await claim_one(claims, "a") is not None


async def test_what_nobody_confirms_goes_to_its_lane_by_itself(scene: Scene, claims: Claims, clock: Clock) -> None:
    await enroll(claims, "a", "b")
    await scene.join(lease=LONG)
    clock.move(GUARD - 1)
    assert await scene.take() == []
    clock.move(1)
    assert [(d.id, d.token, d.deliveries) for d in await scene.take()] == [("a", 1, 1), ("b", 1, 1)]


async def test_what_comes_back_from_parking_stands_in_its_old_place(scene: Scene, claims: Claims, clock: Clock) -> None:
    await scene.put("first")
    await enroll(claims, "second")
    await enroll(claims, "urgent", priority=5)
    await scene.put("third")
    await scene.join(lease=LONG)
    clock.move(GUARD)
    assert ids(await scene.take()) == ["urgent", "first", "second", "third"]


async def test_each_enrolling_has_a_guard_of_its_own(scene: Scene, claims: Claims, clock: Clock) -> None:
    await claims.enroll([message("long")], 50)
    await claims.enroll([message("short")], 20)
    await scene.join(lease=LONG)
    clock.move(20)
    assert ids(await scene.take()) == ["short"]
    clock.move(30)
    assert ids(await scene.take()) == ["long"]


@pytest.mark.needs("delays")
async def test_what_is_enrolled_for_later_waits_for_its_time_as_ever(
    scene: Scene, claims: Claims, clock: Clock
) -> None:
    await enroll(claims, "later", due=clock() + 100)
    await enroll(claims, "past", due=clock() - 100)
    assert [await scene.state(id) for id in ("later", "past")] == ["scheduled", "queued"]
    await claims.confirm(["later", "past"])
    await scene.join(lease=LONG)
    assert await claim_one(claims, "later") is None
    clock.move(99)
    assert await scene.take() == []
    clock.move(1)
    assert ids(await scene.take()) == ["later"]


async def test_nothing_of_a_batch_is_enrolled_when_one_message_is_too_large(scene: Scene, claims: Claims) -> None:
    limit = scene.engine.broker.traits.max_message_bytes
    with pytest.raises(MessageTooLarge, match="big"):
        await claims.enroll([message("small"), message("big", args=bytes(limit))], GUARD)
    assert await scene.state("small") is None


async def test_empty_batches_are_answered_with_empty_batches(scene: Scene, claims: Claims) -> None:
    assert list(await claims.enroll([], GUARD)) == []
    assert list(await claims.claim([], "w1")) == []
    await claims.confirm([])


async def test_what_is_confirmed_stays_parked(scene: Scene, claims: Claims, clock: Clock) -> None:
    await enroll(claims, "a", "b")
    await claims.confirm(["a"])
    clock.move(LONG)
    await scene.join()
    assert ids(await scene.take()) == ["b"]
    assert await scene.state("a") == "queued"
    assert await claim_one(claims, "a") is not None


async def test_confirming_what_is_claimed_over_or_unknown_changes_nothing(scene: Scene, claims: Claims) -> None:
    await enroll(claims, "held", "over")
    await scene.join()
    held, over = await claims.claim([message("held"), message("over")], "w1")
    assert held is not None and over is not None and await scene.settle(over)
    await claims.confirm(["held", "unknown", "over"])
    assert [await scene.state(id) for id in ("held", "unknown", "over")] == ["running", None, "succeeded"]
    assert await scene.settle(held)


async def test_a_confirm_that_comes_too_late_leaves_the_message_in_its_lane(
    scene: Scene, claims: Claims, clock: Clock
) -> None:
    await enroll(claims, "a")
    await scene.put("ordinary")
    clock.move(GUARD)
    await claims.confirm(["a", "ordinary"])
    await scene.join()
    assert ids(await scene.take()) == ["a", "ordinary"]


@pytest.mark.parametrize("outcome", [Deferred(), Lost("killed"), Retry()])
async def test_a_confirm_that_comes_when_the_message_has_run_and_waits_again_does_not_park_it(
    scene: Scene, claims: Claims, clock: Clock, outcome: Outcome
) -> None:
    await enroll(claims, "taken", "claimed", policy=Policy(retry_jitter=False, retry_backoff=8.0))
    await scene.join(lease=LONG)
    held = [await claim_one(claims, "claimed")]
    clock.move(GUARD)
    held += await scene.take()
    assert all([await scene.settle(one, outcome) for one in held if one is not None])
    await claims.confirm(["taken", "claimed"])
    clock.move(8)
    again = await scene.take()
    await claims.confirm(["taken", "claimed"])
    assert ids(again) == ["taken", "claimed"]
    assert all([await scene.settle(one) for one in again])


async def test_what_was_confirmed_and_lost_can_be_recalled_into_its_lane(scene: Scene, claims: Claims) -> None:
    await enroll(claims, "a", "b", "c", "d", "claimed", "cancelled")
    await enroll(claims, "other", queue="another")
    await claims.confirm(["a", "c", "d", "claimed", "cancelled", "other"])
    await scene.join()
    held = await claim_one(claims, "claimed")
    await scene.engine.broker.cancel(["cancelled"])
    assert await claims.recall(LANE) == 3
    assert await claims.recall(LANE) == 0
    assert await claims.recall(Lane("never", "seen")) == 0
    assert ids(await scene.take()) == ["a", "c", "d"], "in their old order; b has its guard"
    assert ids(await scene.take(lane=Lane("another", "threads"))) == []
    assert [await claim_one(claims, name) for name in ("a", "claimed", "cancelled")] == [None, None, None]
    assert held is not None and await scene.settle(held)


async def test_a_take_that_waits_is_brought_what_is_recalled(scene: Scene, claims: Claims) -> None:
    await enroll(claims, "a")
    await claims.confirm(["a"])
    await scene.join()
    waiting = asyncio.create_task(scene.engine.broker.take([LANE], 1, "w1", PATIENCE))
    await asyncio.sleep(0)
    assert await claims.recall(LANE) == 1
    assert ids(await waiting) == ["a"]


async def test_what_was_recalled_in_great_number_all_comes(scene: Scene, claims: Claims) -> None:
    names = [f"{n:04}" for n in range(2500)]
    await enroll(claims, *names)
    await claims.confirm(names)
    await scene.join()
    assert await claims.recall(LANE) == len(names)
    assert ids(await scene.take(len(names))) == names
