"""What holds when senders, carriers and claimers meet, and who is woken by them."""

import asyncio
import random
from collections.abc import Sequence

import pytest

from polypool.core.message import Delivery
from polypool.core.outcome import Deferred, Done, Outcome
from polypool.core.port import Backend, Claims
from tests.conformance.claims_seen import GUARD, LONG, claim_one, enroll
from tests.conformance.scene import LANE, Clock, Scene, heartbeat, ids, message

ENDS: list[Outcome] = [Done(b"\x01"), Done(b"\x01"), Deferred()]


async def test_a_waiting_take_is_woken_when_a_guard_runs_out(scene: Scene, claims: Claims, clock: Clock) -> None:
    await scene.join(lease=LONG)
    assert all(await claims.enroll([message("a")], 0.2))
    taking = asyncio.create_task(scene.engine.broker.take([LANE], 5, "w1", 60))
    await asyncio.sleep(0)
    clock.move(0.2)
    assert ids(await asyncio.wait_for(taking, 30)) == ["a"]


async def test_a_take_that_waits_already_is_told_of_a_guard_that_ends_before_it_would_look_again(
    scene: Scene, other: Backend, clock: Clock
) -> None:
    await scene.join(lease=LONG)
    taking = asyncio.create_task(scene.engine.broker.take([LANE], 5, "w1", 60))
    for _ in range(20):  # it has looked by now, and if not it looks later and sees the same
        await scene.engine.results.read(["a"])
    assert all(await other.claims.enroll([message("a")], 0.2))
    clock.move(0.2)
    assert ids(await asyncio.wait_for(taking, 30)) == ["a"]


async def test_a_waiting_take_is_woken_by_what_a_dead_worker_claimed_in_vain(scene: Scene, other: Backend) -> None:
    await scene.join("w1")
    taking = asyncio.create_task(scene.engine.broker.take([LANE], 5, "w1", 60))
    assert all(await other.claims.enroll([message("a")], LONG))
    await other.claims.confirm(["a"])
    assert await claim_one(other.claims, "a", "stranger") is None
    assert ids(await asyncio.wait_for(taking, 30)) == ["a"]


async def test_who_waits_for_the_result_of_a_claimed_message_is_told(scene: Scene, other: Backend) -> None:
    await enroll(scene.claims, "a")
    waiting = asyncio.create_task(scene.engine.results.wait(["a"], 60))
    await asyncio.sleep(0)
    await other.broker.beat(heartbeat("w1"))
    delivery = await claim_one(other.claims, "a")
    assert delivery is not None
    assert list(await other.broker.settle([scene.settlement(delivery, Done(b"\x01"))])) == [True]
    [record] = await asyncio.wait_for(waiting, 30)
    assert record.state == "succeeded"


async def test_of_two_workers_with_a_copy_each_one_gets_it(scene: Scene, other: Backend) -> None:
    names = [str(n) for n in range(60)]
    await enroll(scene.claims, *names[:40])  # the rest is unknown here
    await scene.claims.confirm(names[:20])
    await scene.join("w1")
    await scene.join("w2")
    sides = [("w1", scene.claims), ("w2", other.claims)]
    batches = [[message(name) for name in names[start : start + 7]] for start in range(0, 60, 5)]
    answers = await asyncio.gather(*(claims.claim(batch, worker) for batch in batches for worker, claims in sides))
    claimed = [delivery for answer in answers for delivery in answer if delivery is not None]
    assert sorted(ids(claimed)) == sorted(names)
    assert {(delivery.token, delivery.deliveries) for delivery in claimed} == {(1, 1)}


async def test_of_a_take_and_a_claim_at_once_one_gets_it(scene: Scene, other: Backend, clock: Clock) -> None:
    names = [str(n) for n in range(60)]
    await enroll(scene.claims, *names)
    await scene.join("w1", lease=LONG)
    await scene.join("w2", lease=LONG)
    clock.move(GUARD)
    calls = [other.broker.take([LANE], 5, "w2", 0) for _ in range(12)]
    claims = [
        scene.claims.claim([message(name) for name in names[start : start + 6]], "w1") for start in range(0, 60, 6)
    ]
    taken, claimed = await asyncio.gather(asyncio.gather(*calls), asyncio.gather(*claims))
    got = [delivery.id for batch in [*taken, *claimed] for delivery in batch if delivery is not None]
    got += ids(await scene.take())  # what a take passed over, because a claim was looking at it
    assert sorted(got) == sorted(names)


async def test_cancelling_a_claim_loses_nothing(scene: Scene, claims: Claims) -> None:
    await scene.join()
    names = [str(n) for n in range(20)]
    await enroll(claims, *names)
    await claims.confirm(names)
    for turns in range(20):
        claiming = asyncio.create_task(claims.claim([message(name) for name in names[turns:] + names[:turns]], "w1"))
        for _ in range(turns):
            await asyncio.sleep(0)
        claiming.cancel()
        [claimed] = await asyncio.gather(claiming, return_exceptions=True)
        if isinstance(claimed, list):
            batch = [scene.settlement(delivery, Deferred()) for delivery in claimed if delivery is not None]
            assert all(await scene.engine.broker.settle(batch))
    await scene.engine.broker.beat(heartbeat())  # whatever is given back is written by now
    claimed = await claims.claim([message(name) for name in names], "w1")
    assert [delivery and delivery.deliveries for delivery in claimed] == [1] * 20


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_is_carried_how_often_and_lost_on_the_way_ends_once(
    scene: Scene, other: Backend, clock: Clock, seed: int
) -> None:
    """Senders and workers on two engines; carrying doubles copies and loses unconfirmed ones."""
    dice, copies, ended = random.Random(seed), list[str](), list[str]()
    engines: list[Backend] = [scene.engine, other]  # type: ignore[list-item]
    for worker in ("w0", "w1"):
        await scene.join(worker, lease=LONG)
    names = [f"{n:03}" for n in range(60)]

    async def send(engine: Backend, mine: list[str]) -> None:
        for start in range(0, len(mine), 5):
            some = mine[start : start + 5]
            assert all(await engine.claims.enroll([message(name) for name in some], GUARD))
            sent = [name for name in some if dice.random() < 0.7]
            copies.extend(name for name in sent for _ in range(dice.choice([1, 1, 2])))
            if sent and dice.random() < 0.7:
                await engine.claims.confirm(sent)

    async def take(engine: Backend, worker: str) -> None:
        await run(engine, await engine.broker.take([LANE], 3, worker, 0))

    async def consume(engine: Backend, worker: str) -> None:
        dice.shuffle(copies)
        mine, copies[:] = copies[:7], copies[7:]
        claimed = await engine.claims.claim([message(name) for name in mine], worker)
        await run(engine, [delivery for delivery in claimed if delivery is not None])

    async def run(engine: Backend, runs: Sequence[Delivery]) -> None:
        outcomes = [dice.choice(ENDS) for _ in runs]
        batch = [scene.settlement(delivery, outcome) for delivery, outcome in zip(runs, outcomes, strict=True)]
        assert all(await engine.broker.settle(batch))
        ended.extend(run.id for run, outcome in zip(runs, outcomes, strict=True) if isinstance(outcome, Done))

    await asyncio.gather(*(send(engine, names[n::2]) for n, engine in enumerate(engines)))
    for _ in range(200):
        both = [(engine, f"w{n}") for n, engine in enumerate(engines)]
        await asyncio.gather(*(act(*one) for one in both for act in (consume, take, consume)))
        if len(ended) == len(names):
            break
        clock.move(7)
    assert sorted(ended) == names
    assert await scene.engine.inspector.lanes() == []
