"""What every broker promises of put, take and settle."""

import asyncio

import pytest

from polypool.core.error import MessageTooLarge
from polypool.core.lifecycle import State
from polypool.core.message import Lane, Policy
from polypool.core.outcome import Deferred, Done, Ended, Lost, Retry, Settlement
from tests.conformance.scene import LANE, PATIENCE, Clock, Scene, heartbeat, ids, message


async def test_a_message_comes_back_as_it_was_sent(scene: Scene) -> None:
    fields = {"priority": scene.priority(3), "policy": Policy(timeout=2.5), "headers": {"trace": "ä"}}
    sent = message("a", args=b"\x92\x91\x01\x80", **fields)
    assert list(await scene.engine.broker.put([sent])) == [True]
    await scene.join()
    delivery = await scene.take_one()
    assert delivery.message == sent
    assert (delivery.token, delivery.deliveries, delivery.attempt) == (1, 1, 1)
    assert delivery.taken_at == scene.clock()
    assert delivery.defect is None and not delivery.is_cancelled


async def test_a_message_of_a_megabyte_comes_back_whole(scene: Scene) -> None:
    large = [message(f"large-{n}", args=bytes([n]) * 1_000_000) for n in range(3)]
    await scene.engine.broker.put([message("small"), *large])
    await scene.join()
    taken = await scene.take()
    assert [delivery.message for delivery in taken] == [message("small"), *large]


async def test_putting_a_known_id_again_is_refused_and_changes_nothing(scene: Scene) -> None:
    await scene.put("a")
    again = [message("a", task="other"), message("b"), message("b", task="other")]
    assert list(await scene.engine.broker.put(again)) == [False, True, False]
    await scene.join()
    assert [(d.id, d.message.task) for d in await scene.take()] == [("a", "app.work"), ("b", "app.work")]


async def test_an_id_stays_known_after_its_task_has_ended(scene: Scene) -> None:
    await scene.put("a")
    await scene.join()
    await scene.settle(await scene.take_one())
    assert list(await scene.engine.broker.put([message("a")])) == [False]
    assert await scene.take() == []


async def test_an_id_is_free_again_as_soon_as_its_ending_is_over(scene: Scene, clock: Clock) -> None:
    await scene.put("a", policy=Policy(result_ttl=5.0))
    await scene.engine.broker.cancel(["a"])
    assert list(await scene.engine.broker.put([message("a")])) == [False]
    clock.move(5)
    assert list(await scene.engine.broker.put([message("b"), message("a"), message("a")])) == [True, True, False]
    assert await scene.state("a") == "queued"


async def test_nothing_of_a_batch_is_written_when_one_message_is_too_large(scene: Scene) -> None:
    limit = scene.engine.broker.traits.max_message_bytes
    with pytest.raises(MessageTooLarge, match="big"):
        await scene.engine.broker.put([message("small"), message("big", args=bytes(limit))])
    assert await scene.state("small") is None


async def test_an_empty_batch_is_answered_with_an_empty_batch(scene: Scene) -> None:
    assert list(await scene.engine.broker.put([])) == []
    assert list(await scene.engine.broker.settle([])) == []
    assert list(await scene.engine.broker.cancel([])) == []


@pytest.mark.needs("priorities")
async def test_higher_priority_goes_first_and_then_the_older(scene: Scene) -> None:
    for id, priority in [("a", 0), ("b", 5), ("c", -5), ("d", 5), ("e", 100)]:
        await scene.put(id, priority=priority)
    await scene.join()
    assert ids(await scene.take(3)) == ["e", "b", "d"]
    assert ids(await scene.take(3)) == ["a", "c"]


async def test_lanes_are_emptied_in_the_order_given_up_to_one_limit(scene: Scene) -> None:
    await scene.put("a1", "a2", "a3")
    await scene.put("b1", "b2", queue="fast")
    await scene.put("c1", pool="gevent")
    await scene.join()
    fast, gevent = Lane("fast", "threads"), Lane("default", "gevent")
    assert ids(await scene.engine.broker.take([fast, LANE], 4, "w1", 0)) == ["b1", "b2", "a1", "a2"]
    assert ids(await scene.engine.broker.take([fast], 4, "w1", 0)) == []
    assert ids(await scene.engine.broker.take([gevent, LANE], 4, "w1", 0)) == ["c1", "a3"]


async def test_no_message_is_held_twice(scene: Scene) -> None:
    await scene.put(*(str(n) for n in range(50)))
    await scene.join("w1")
    await scene.join("w2")
    takes = [scene.engine.broker.take([LANE], 7, worker, 0) for worker in ["w1", "w2"] * 5]
    taken = [delivery.id for deliveries in await asyncio.gather(*takes) for delivery in deliveries]
    assert sorted(taken) == sorted(str(n) for n in range(50))


async def test_a_worker_that_never_beat_is_given_nothing(scene: Scene) -> None:
    await scene.put("a")
    assert await scene.take(worker="stranger") == []
    assert await scene.state("a") == "queued"


async def test_settling_twice_counts_once(scene: Scene) -> None:
    await scene.put("a", "b", "c")
    await scene.join()
    a, b, c = await scene.take()
    assert await scene.settle(a)
    batch = [scene.settlement(d, Done(b"\x02")) for d in (a, b, b, c)]
    assert list(await scene.engine.broker.settle(batch)) == [False, True, False, True]
    [record] = await scene.engine.results.read(["a"])
    assert record is not None and record.value == b"\xc0"


async def test_a_stale_token_writes_nothing(scene: Scene) -> None:
    await scene.put("a")
    await scene.join()
    old = await scene.take_one()
    assert await scene.settle(old, Lost("child died"))
    new = await scene.take_one()
    assert (new.token, new.deliveries) == (2, 2)
    follow_up = Settlement(old, Ended(State.SUCCEEDED, value=b"\x01", ttl=60), scene.clock(), (message("next"),))
    assert list(await scene.engine.broker.settle([follow_up])) == [False]
    assert await scene.state("a") == "running"
    assert await scene.state("next") is None
    assert await scene.settle(new)


async def test_a_stale_settlement_does_not_touch_its_neighbours(scene: Scene) -> None:
    await scene.put("a", "b")
    await scene.join()
    a, b = await scene.take()
    assert await scene.settle(a)
    assert list(await asyncio.gather(scene.settle(a), scene.settle(b))) == [False, True]
    assert await scene.state("b") == "succeeded"


async def test_a_token_of_a_message_that_is_gone_does_not_fit_its_successor(scene: Scene) -> None:
    await scene.put("a", policy=Policy(result_ttl=0))
    await scene.join()
    gone = await scene.take_one()
    assert await scene.settle(gone)
    await scene.put("a", "b")
    held = await scene.take()
    assert not await scene.settle(gone)
    assert [await scene.state(delivery.id) for delivery in held] == ["running", "running"]


async def test_follow_ups_are_put_with_the_ending(scene: Scene) -> None:
    await scene.put("a", "known")
    await scene.join()
    a = (await scene.take(1))[0]
    follow_ups = (message("b"), message("known", task="other"), message("later", due=scene.clock() + 60))
    ending = Settlement(a, Ended(State.SUCCEEDED, value=b"\x01", ttl=60), scene.clock(), follow_ups)
    assert list(await scene.engine.broker.settle([ending])) == [True]
    assert ids(await scene.take()) == ["known", "b"]
    assert await scene.state("later") == "scheduled"


async def test_what_is_given_back_uncounted_takes_its_old_place(scene: Scene) -> None:
    await scene.put("a", "b")
    await scene.join()
    a = await scene.take_one()
    assert await scene.settle(a, Deferred())
    again, _ = await scene.take()
    assert (again.id, again.deliveries, again.token) == ("a", 1, 2)


async def test_a_lost_run_is_counted(scene: Scene) -> None:
    await scene.put("a")
    await scene.join()
    for run in (1, 2):
        delivery = await scene.take_one()
        assert (delivery.deliveries, delivery.attempt) == (run, run)
        assert await scene.settle(delivery, Lost("killed"))


@pytest.mark.needs("delays")
async def test_a_retry_waits_its_delay_as_the_message_it_has_become(scene: Scene, clock: Clock) -> None:
    await scene.put("a", policy=Policy(retry_jitter=False, retry_backoff=8.0))
    await scene.join(lease=100.0)
    assert await scene.settle(await scene.take_one(), Retry())
    assert await scene.state("a") == "scheduled"
    clock.move(7)
    assert await scene.take() == []
    clock.move(1)
    again = await scene.take_one()
    assert (again.message.retries, again.attempt, again.deliveries) == (1, 2, 1)


@pytest.mark.needs("delays")
async def test_a_delayed_message_is_due_on_time_and_not_before(scene: Scene, clock: Clock) -> None:
    await scene.put("later", due=clock() + 30)
    await scene.put("past", due=clock() - 30)
    await scene.join(lease=100.0)
    assert ids(await scene.take()) == ["past"]
    clock.move(29)
    assert await scene.take() == []
    clock.move(1)
    assert ids(await scene.take()) == ["later"]


async def test_what_has_expired_is_delivered_for_the_worker_to_end(scene: Scene, clock: Clock) -> None:
    await scene.put("a", expires=clock() + 1)
    clock.move(5)
    await scene.join()
    assert ids(await scene.take()) == ["a"]


async def test_an_undecodable_body_is_delivered_with_its_defect(scene: Scene) -> None:
    await scene.put("bad", "good")
    scene.spoil("bad")
    await scene.join()
    bad, good = await scene.take()
    assert bad.id == "bad" and bad.message.lane == LANE and bad.defect
    assert good.defect is None
    assert bad.body == b"\xc1"


async def test_a_waiting_take_is_woken_by_a_put(scene: Scene) -> None:
    await scene.join()
    other = await scene.another()
    taking = asyncio.create_task(scene.engine.broker.take([LANE], 5, "w1", 600))
    await asyncio.sleep(0)
    await other.broker.put([message("a")])
    assert ids(await asyncio.wait_for(taking, PATIENCE)) == ["a"]
    await _close(scene, other)


async def test_a_take_that_waits_in_vain_ends_in_time(scene: Scene) -> None:
    await scene.join()
    assert list(await asyncio.wait_for(scene.engine.broker.take([LANE], 5, "w1", 0.05), PATIENCE)) == []


async def test_cancelling_a_take_loses_nothing(scene: Scene) -> None:
    await scene.join()
    await scene.put(*(str(n) for n in range(20)))
    for turns in range(12):
        taking = asyncio.create_task(scene.engine.broker.take([LANE], 3, "w1", 5))
        for _ in range(turns):
            await asyncio.sleep(0)
        taking.cancel()
        [taken] = await asyncio.gather(taking, return_exceptions=True)
        if isinstance(taken, list):
            batch = [scene.settlement(delivery, Deferred()) for delivery in taken]
            assert all(await scene.engine.broker.settle(batch))
    await scene.engine.broker.beat(heartbeat())  # whatever is given back is written by now
    taken = await scene.take()
    assert sorted(ids(taken)) == sorted(str(n) for n in range(20))
    assert {delivery.deliveries for delivery in taken} == {1}


async def test_closing_twice_is_allowed(scene: Scene) -> None:
    await scene.engine.broker.close()
    await scene.engine.broker.close()


async def _close(scene: Scene, other: object) -> None:
    if other is not scene.engine:
        await other.broker.close()  # type: ignore[attr-defined]
