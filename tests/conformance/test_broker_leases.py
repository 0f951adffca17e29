"""What every broker promises of workers: leases, fencing, tallies, orders to cancel."""

import asyncio

import pytest

from polypool.core.measure import Tally
from polypool.core.message import Policy
from polypool.core.outcome import Cancelled, Deferred, Lost, Usage
from tests.conformance.scene import LANE, LEASE, PATIENCE, Clock, Scene, eventually, heartbeat, ids, message


async def test_what_a_dead_worker_held_is_taken_by_another(scene: Scene, clock: Clock) -> None:
    await scene.put("a", "b")
    await scene.join("dead")
    held = await scene.take(worker="dead")
    clock.move(LEASE)
    await scene.join("alive")
    again = await scene.take(worker="alive")
    assert [(d.id, d.token, d.deliveries) for d in again] == [("a", 2, 2), ("b", 2, 2)]
    assert not await scene.settle(held[0])


async def test_a_take_alone_finds_what_a_dead_worker_held(scene: Scene, clock: Clock) -> None:
    await scene.put("a")
    await scene.join("dead")
    await scene.take(worker="dead")
    clock.move(LEASE / 2)
    await scene.join("alive")
    clock.move(LEASE / 2)
    assert ids(await scene.take(worker="alive")) == ["a"]


async def test_a_worker_that_beats_in_time_keeps_what_it_holds(scene: Scene, clock: Clock) -> None:
    await scene.put("a")
    await scene.join("w1")
    held = await scene.take_one("w1")
    for _ in range(5):
        clock.move(LEASE - 1)
        assert not (await scene.join("w1")).is_fenced
        await scene.join("w2")
        assert await scene.take(worker="w2") == []
    assert await scene.settle(held)


async def test_a_worker_thought_dead_is_told_so_and_then_begins_anew(scene: Scene, clock: Clock) -> None:
    await scene.put("a")
    await scene.join("w1")
    held = await scene.take_one("w1")
    clock.move(LEASE + 1)
    await scene.join("w2")
    assert (await scene.join("w1")).is_fenced
    assert not await scene.settle(held)
    assert not (await scene.join("w1")).is_fenced
    assert ids(await scene.take(worker="w1")) == ["a"]


async def test_a_worker_that_was_silent_too_long_is_fenced_even_if_nobody_noticed(scene: Scene, clock: Clock) -> None:
    await scene.put("a")
    await scene.join("w1")
    held = await scene.take_one("w1")
    clock.move(LEASE + 1)
    assert await scene.take(worker="w1") == []
    assert (await scene.join("w1")).is_fenced
    assert not await scene.settle(held)
    assert ids(await scene.take(worker="w1")) == ["a"]


async def test_a_new_process_of_the_same_name_does_not_inherit_deliveries(scene: Scene) -> None:
    await scene.put("a")
    await scene.join("w1", pid=1)
    held = await scene.take_one("w1")
    assert not (await scene.join("w1", pid=2, started_at=2.0)).is_fenced
    assert not await scene.settle(held)
    again = await scene.take_one("w1")
    assert (again.token, again.deliveries) == (2, 2)


async def test_a_worker_that_leaves_is_forgotten_and_leaves_nothing_behind(scene: Scene) -> None:
    await scene.put("a")
    await scene.join("w1")
    await scene.take_one("w1")
    await scene.join("w1", is_leaving=True)
    assert await scene.engine.inspector.workers() == []
    await scene.join("w2")
    assert ids(await scene.take(worker="w2")) == ["a"]


async def test_tallies_add_up_over_beats_and_workers(scene: Scene) -> None:
    first, second, other = Tally("app.work", "threads"), Tally("app.work", "threads"), Tally("app.work", "gevent")
    first.add(Usage(100.0, 0.5, 0.25), wait=1.0)
    first.succeeded = 1
    second.add(Usage(200.0, 1.5), wait=2.0)
    second.failed = 2
    other.lost = 7
    await scene.join("w1", tallies=(first,))
    await scene.join("w1", tallies=())
    await scene.join("w2", tallies=(second, other))
    gevent, threads = await scene.engine.inspector.tallies()
    assert (gevent.pool, gevent.lost) == ("gevent", 7)
    assert (threads.succeeded, threads.failed, threads.wall, threads.wait, threads.cpu_runs) == (1, 2, 2.0, 3.0, 1)
    assert sum(threads.walls) == 2


async def test_a_waiting_message_is_cancelled_at_once(scene: Scene, clock: Clock) -> None:
    await scene.put("a")
    await scene.put("later", due=clock() + 60)
    assert list(await scene.engine.broker.cancel(["a", "unknown", "later"])) == [True, False, True]
    for record in await scene.engine.results.read(["a", "later"]):
        assert record is not None and record.state == "cancelled"
        assert record.failure is not None and record.failure.type == "polypool.core.error.TaskCancelled"
        assert record.ended_at == clock()
    clock.move(61)
    await scene.join()
    assert await scene.take() == []
    assert list(await scene.engine.broker.cancel(["a"])) == [False]


async def test_a_running_message_is_cancelled_by_its_holder(scene: Scene) -> None:
    await scene.put("a", "b", "c")
    await scene.join("w1")
    await scene.join("w2")
    a, b = await scene.take(2, "w1")
    await scene.take(1, "w2")
    assert list(await scene.engine.broker.cancel(["a", "c"])) == [True, True]
    assert await scene.state("a") == "running"
    assert (await scene.join("w1")).cancel == ("a",)
    assert (await scene.join("w1")).cancel == ("a",), "an order stands until it is done"
    assert (await scene.join("w2")).cancel == ("c",)
    assert await scene.settle(a, Cancelled())
    assert await scene.settle(b)
    assert (await scene.join("w1")).cancel == ()
    assert await scene.state("a") == "cancelled"


async def test_a_waiting_beat_is_woken_by_a_cancel_and_only_once(scene: Scene) -> None:
    await scene.put("a")
    await scene.join()
    await scene.take_one()
    other = await scene.another()
    beating = asyncio.create_task(scene.engine.broker.beat(heartbeat(), 600))
    await asyncio.sleep(0)
    await other.broker.cancel(["a"])
    assert (await asyncio.wait_for(beating, PATIENCE)).cancel == ("a",)
    started = asyncio.get_running_loop().time()
    assert (await scene.engine.broker.beat(heartbeat(), 0.1)).cancel == ("a",)
    assert asyncio.get_running_loop().time() - started >= 0.09, "what it was told already is no news"
    if other is not scene.engine:
        await other.broker.close()


@pytest.mark.parametrize("outcome", [Deferred(), Lost("killed"), Deferred(until=2_000_000.0)], ids=repr)
async def test_a_message_to_be_cancelled_that_comes_back_says_so_at_once(scene: Scene, outcome: object) -> None:
    await scene.put("a")
    await scene.join()
    delivery = await scene.take_one()
    await scene.engine.broker.cancel(["a"])
    assert await scene.settle(delivery, outcome)  # type: ignore[arg-type]
    assert (await scene.take_one()).is_cancelled


async def test_a_cancelled_message_of_a_dead_worker_is_still_to_be_cancelled(scene: Scene, clock: Clock) -> None:
    await scene.put("a")
    await scene.join("dead")
    await scene.take(worker="dead")
    await scene.engine.broker.cancel(["a"])
    clock.move(LEASE)
    await scene.join("alive")
    assert (await scene.take_one("alive")).is_cancelled


async def test_a_waiting_take_is_woken_when_another_worker_gives_back(scene: Scene) -> None:
    await scene.put("a")
    await scene.join("w1")
    await scene.join("w2")
    held = await scene.take_one("w1")
    taking = asyncio.create_task(scene.engine.broker.take([LANE], 5, "w2", 600))
    await asyncio.sleep(0)
    await scene.settle(held, Deferred())
    assert ids(await asyncio.wait_for(taking, PATIENCE)) == ["a"]


async def test_endings_are_forgotten_when_their_time_to_live_is_over(scene: Scene, clock: Clock) -> None:
    await scene.put("short", policy=Policy(result_ttl=10.0))
    await scene.put("long", policy=Policy(result_ttl=100.0))
    await scene.put("none", policy=Policy(result_ttl=0.0))
    await scene.join(lease=1000.0)
    for delivery in await scene.take():
        assert await scene.settle(delivery)
    assert [await scene.state(id) for id in ("short", "long", "none")] == ["succeeded", "succeeded", None]
    clock.move(10)
    assert [await scene.state(id) for id in ("short", "long")] == [None, "succeeded"]
    await scene.join(lease=1000.0)

    async def is_accepted_anew() -> bool:
        return (await scene.engine.broker.put([message("short")]))[0]

    await eventually(is_accepted_anew)
