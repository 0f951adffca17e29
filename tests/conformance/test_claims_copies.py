"""What every engine promises to whoever has a copy of a message, and to people: claim, cancel, purge."""

import pytest

from polypool.core.message import Policy
from polypool.core.outcome import Deferred, Done, Lost, Retry
from polypool.core.port import Claims
from polypool.core.report import Search
from tests.conformance.claims_seen import DAY, GUARD, LONG, claim_one, enroll
from tests.conformance.scene import LANE, LEASE, Clock, Scene, eventually, ids, message


async def test_a_claim_is_as_good_as_a_take(scene: Scene, claims: Claims) -> None:
    sent = message("a", args=b"\x92\x91\x01\x80", priority=3, policy=Policy(timeout=2.5), headers={"trace": "ä"})
    await claims.enroll([sent], GUARD)
    await scene.put("b")
    await scene.join()
    [b] = await scene.take()
    [a] = await claims.claim([sent], "w1")
    assert a is not None and a.message == sent
    assert (a.token, a.deliveries, a.taken_at) == (b.token, b.deliveries, b.taken_at) == (1, 1, scene.clock())
    assert a.defect is None and not a.is_cancelled
    assert await scene.state("a") == "running"
    [worker] = await scene.engine.inspector.workers()
    assert worker.holds == 2
    assert [view.worker for view in await scene.engine.inspector.find(Search(ids=("a",)))] == ["w1"]
    assert await scene.settle(a, Done(b"\x01"))
    [record] = await scene.engine.results.read(["a"])
    assert record is not None and (record.state, record.value) == ("succeeded", b"\x01")


async def test_a_copy_that_is_quicker_than_the_confirm_is_claimed(scene: Scene, claims: Claims, clock: Clock) -> None:
    await enroll(claims, "a")
    await scene.join(lease=LONG)
    delivery = await claim_one(claims, "a")
    assert delivery is not None
    await claims.confirm(["a"])
    clock.move(GUARD)
    assert await scene.take() == [], "its guard went with the claim"
    assert await scene.settle(delivery)


async def test_a_message_is_claimed_once_however_many_copies_there_are(scene: Scene, claims: Claims) -> None:
    await enroll(claims, "a", "b")
    await scene.join("w1")
    await scene.join("w2")
    first = await claims.claim([message("a"), message("a"), message("b")], "w1")
    assert [delivery and delivery.id for delivery in first] == ["a", None, "b"]
    assert await claim_one(claims, "a", "w2") is None
    assert await claim_one(claims, "a", "w1") is None
    assert first[0] is not None and await scene.settle(first[0])
    assert await claim_one(claims, "a", "w2") is None
    assert await scene.state("a") == "succeeded"


async def test_a_claim_brings_the_message_as_it_has_become(scene: Scene, claims: Claims, clock: Clock) -> None:
    await enroll(claims, "a", policy=Policy(retry_jitter=False, retry_backoff=8.0))
    await scene.join(lease=LONG)
    delivery = await claim_one(claims, "a")
    assert delivery is not None and await scene.settle(delivery, Retry())
    assert await claim_one(claims, "a") is None, "due later"
    assert await scene.state("a") == "scheduled"
    clock.move(8)
    again = await claim_one(claims, "a")
    assert again is not None and again.message.args == message("a").args
    assert (again.message.retries, again.attempt, again.deliveries) == (1, 2, 1)


async def test_what_came_due_is_claimed_though_nobody_has_put_it_in_line(
    scene: Scene, claims: Claims, clock: Clock
) -> None:
    await scene.put("a", due=clock() + 10)
    await scene.join(lease=LONG)
    assert await claim_one(claims, "a") is None
    clock.move(10)
    assert await claim_one(claims, "a") is not None
    assert await scene.take() == []


async def test_what_the_engine_lost_is_put_first(scene: Scene, claims: Claims, clock: Clock) -> None:
    await scene.join()
    lost = [message("a", queue="rare"), message("b", due=clock() + 10), message("a", task="other")]
    a, b, second = await claims.claim(lost, "w1")
    assert a is not None and (a.message, a.token, a.deliveries) == (lost[0], 1, 1)
    assert b is None and second is None
    assert [await scene.state(id) for id in "ab"] == ["running", "scheduled"]
    assert await scene.settle(a)
    assert await scene.state("a") == "succeeded"


async def test_a_claim_of_what_stands_in_its_lane_takes_it_from_there(
    scene: Scene, claims: Claims, clock: Clock
) -> None:
    await enroll(claims, "a", "b")
    clock.move(GUARD)
    await scene.join(lease=LONG)
    assert await claim_one(claims, "a") is not None
    assert ids(await scene.take()) == ["b"]
    [count] = await scene.engine.inspector.lanes()
    assert (count.queued, count.running) == (0, 2)


@pytest.mark.parametrize("is_known", [True, False], ids=["fenced", "stranger"])
async def test_a_worker_that_is_not_alive_claims_nothing_and_leaves_all_of_it_to_be_taken(
    scene: Scene, claims: Claims, clock: Clock, is_known: bool
) -> None:
    if is_known:
        await scene.join("dead")
    clock.move(LEASE)
    await enroll(claims, "confirmed", "fresh")
    await claims.confirm(["confirmed"])
    await scene.put("later", due=clock() + 60)
    names = ["confirmed", "fresh", "later", "lost"]
    assert list(await claims.claim([message(name) for name in names], "dead")) == [None] * 4
    await scene.join("w1")
    assert ids(await scene.take()) == ["confirmed", "fresh", "lost"]
    assert await scene.state("later") == "scheduled"


async def test_what_the_dead_held_is_claimed_by_the_living(scene: Scene, claims: Claims, clock: Clock) -> None:
    await enroll(claims, "a", "b")
    await claims.confirm(["a", "b"])
    await scene.join("dead")
    held = await claims.claim([message("a"), message("b")], "dead")
    clock.move(LEASE / 2)
    await scene.join("alive")
    assert await claim_one(claims, "a", "alive") is None
    clock.move(LEASE / 2)
    again = await claim_one(claims, "a", "alive")
    assert again is not None and (again.token, again.deliveries) == (2, 2)
    assert ids(await scene.take(worker="alive")) == ["b"], "what no copy came for is in its lane"
    assert held[0] is not None and not await scene.settle(held[0])
    assert await scene.settle(again)


async def test_what_has_expired_is_claimed_for_the_worker_to_end(scene: Scene, claims: Claims, clock: Clock) -> None:
    await enroll(claims, "a", expires=clock() + 1)
    clock.move(5)
    await scene.join()
    assert await claim_one(claims, "a") is not None


async def test_an_undecodable_body_is_claimed_with_its_defect(scene: Scene, claims: Claims) -> None:
    await enroll(claims, "bad", "good")
    scene.spoil("bad")
    await scene.join()
    bad, good = await claims.claim([message("bad"), message("good")], "w1")
    assert bad is not None and good is not None and good.defect is None
    assert bad.id == "bad" and bad.message.lane == LANE and bad.defect and bad.body == b"\xc1"


async def test_a_message_of_a_megabyte_is_claimed_whole(scene: Scene, claims: Claims) -> None:
    large = [message(f"large-{n}", args=bytes([n]) * 1_000_000) for n in range(3)]
    await claims.enroll(large[:2], GUARD)
    await scene.join()
    claimed = await claims.claim(large, "w1")
    assert [delivery and delivery.message for delivery in claimed] == large


async def test_what_is_parked_is_cancelled_at_once(scene: Scene, claims: Claims, clock: Clock) -> None:
    await enroll(claims, "a", "b")
    await claims.confirm(["a"])
    assert list(await scene.engine.broker.cancel(["a", "b"])) == [True, True]
    assert [await scene.state(id) for id in "ab"] == ["cancelled", "cancelled"]
    await claims.confirm(["b"])
    await scene.join(lease=LONG)
    assert list(await claims.claim([message("a"), message("b")], "w1")) == [None, None]
    clock.move(GUARD)
    assert await scene.take() == []
    assert [await scene.state(id) for id in "ab"] == ["cancelled", "cancelled"]
    assert await scene.engine.inspector.lanes() == []


async def test_the_holder_of_a_claimed_message_is_asked_to_cancel_it(scene: Scene, claims: Claims) -> None:
    await enroll(claims, "a")
    await scene.join()
    delivery = await claim_one(claims, "a")
    assert list(await scene.engine.broker.cancel(["a"])) == [True]
    assert (await scene.join()).cancel == ("a",)
    assert delivery is not None and await scene.settle(delivery)
    assert (await scene.join()).cancel == ()


async def test_what_was_to_be_cancelled_when_it_was_given_back_says_so_when_claimed(
    scene: Scene, claims: Claims
) -> None:
    await enroll(claims, "a")
    await scene.join("w1")
    await scene.join("w2")
    held = await claim_one(claims, "a", "w1")
    await scene.engine.broker.cancel(["a"])
    assert held is not None and await scene.settle(held, Deferred())
    assert (await scene.join("w1")).cancel == ()
    delivery = await claim_one(claims, "a", "w2")
    assert delivery is not None and delivery.is_cancelled
    assert (await scene.join("w2")).cancel == ("a",)


async def test_a_purge_of_what_waits_takes_what_is_parked(scene: Scene, claims: Claims, clock: Clock) -> None:
    await enroll(claims, "a", "b")
    await claims.confirm(["a"])
    await scene.put("c")
    assert await scene.engine.inspector.act("purge", Search(queue="default")) == 3
    assert [await scene.state(id) for id in "abc"] == [None] * 3
    clock.move(GUARD)
    await scene.join()
    assert await scene.take() == []
    assert await scene.engine.inspector.lanes() == []


@pytest.mark.parametrize("way", ["cancel", "purge"])
@pytest.mark.parametrize("place", ["parked", "confirmed", "in its lane", "given back", "risen"])
async def test_what_ended_while_it_was_carried_does_not_run_when_its_copy_comes(
    scene: Scene, claims: Claims, clock: Clock, way: str, place: str
) -> None:
    await enroll(claims, "a", policy=Policy(result_ttl=10.0, max_lost=1))
    await scene.join(lease=LONG)
    if place == "confirmed":
        await claims.confirm(["a"])
    elif place == "in its lane":
        clock.move(GUARD)
    elif place != "parked":
        held = await claim_one(claims, "a")
        assert held is not None and await scene.settle(held, Deferred() if place == "given back" else Lost("killed"))
        await scene.engine.inspector.act("requeue", Search(dead=True))
    if way == "cancel":
        await scene.engine.broker.cancel(["a"])
    else:
        assert await scene.engine.inspector.act("purge", Search()) == 1
    clock.move(LONG / 2)
    await scene.join(lease=LONG)
    assert await claim_one(claims, "a") is None
    assert await scene.state("a") is None
    clock.move(DAY - LONG / 2)
    await is_forgotten(scene, claims)


async def is_forgotten(scene: Scene, claims: Claims) -> None:
    """A copy of `a` is one of an unknown message."""
    await scene.join(lease=LONG)

    async def is_unknown() -> bool:
        return await claim_one(claims, "a") is not None

    await eventually(is_unknown)


async def test_a_dead_letter_that_was_purged_does_not_run_when_another_copy_of_it_comes(
    scene: Scene, claims: Claims, clock: Clock
) -> None:
    await enroll(claims, "a", policy=Policy(max_lost=1))
    await scene.put("ordinary", policy=Policy(max_lost=1))
    await scene.join(lease=LONG)
    for held in await claims.claim([message("a"), message("ordinary")], "w1"):
        assert held is not None and await scene.settle(held, Lost("killed by signal 9"))
    assert await scene.engine.inspector.act("purge", Search(dead=True)) == 2
    clock.move(LONG / 2)
    await scene.join(lease=LONG)
    assert await claim_one(claims, "a") is None
    assert await scene.state("a") is None
    assert await claim_one(claims, "ordinary") is not None, "nobody carried copies of it"
    clock.move(DAY - LONG / 2)
    await is_forgotten(scene, claims)


async def test_an_id_that_was_cancelled_while_it_was_carried_can_be_sent_anew(
    scene: Scene, claims: Claims, clock: Clock
) -> None:
    await enroll(claims, "a", policy=Policy(result_ttl=10.0))
    await scene.engine.broker.cancel(["a"])
    clock.move(10)
    await enroll(claims, "a")
    await scene.join()
    assert await claim_one(claims, "a") is not None


async def test_a_dead_letter_that_was_claimed_rises_into_its_lane(scene: Scene, claims: Claims) -> None:
    await enroll(claims, "a", policy=Policy(max_lost=1))
    await claims.confirm(["a"])
    await scene.join()
    delivery = await claim_one(claims, "a")
    assert delivery is not None and await scene.settle(delivery, Lost("killed by signal 9"))
    assert await claim_one(claims, "a") is None
    assert await scene.engine.inspector.act("requeue", Search(dead=True)) == 1
    assert ids(await scene.take()) == ["a"]
