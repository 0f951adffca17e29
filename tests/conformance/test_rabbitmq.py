"""What only the RabbitMQ engine has: copies that come twice, late or garbled, queues somebody changes, a prefetch."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from pamqp import commands

from polypool.brokers.memory import MemoryEngine
from polypool.brokers.rabbitmq import hopper
from polypool.brokers.rabbitmq.engine import RabbitEngine
from polypool.brokers.rabbitmq.options import Options
from polypool.core.decide import refuse
from polypool.core.error import ConfigurationError, TraitMissing
from polypool.core.message import Lane, Policy
from polypool.core.outcome import Deferred, Done
from polypool.core.report import Search
from tests.conformance.scene import LANE, Scene, eventually, heartbeat, ids, message
from tests.engines import rabbitmq

LONG = 25.0
"""Longer than anything here takes: nothing ends by its timeout."""


@pytest.fixture
async def front() -> AsyncIterator[Scene]:
    """RabbitMQ before a memory engine, at the clock of the wall."""
    scene = Scene(rabbitmq.fresh_url(), time.time, "memory://")
    await scene.engine.broker.open()
    await scene.join(lease=LONG)
    yield scene
    await scene.engine.broker.close()
    await rabbitmq.clean(scene.url)


def backend(scene: Scene) -> MemoryEngine:
    assert isinstance(scene.engine, RabbitEngine) and isinstance(scene.engine.backend, MemoryEngine)
    return scene.engine.backend


async def take(scene: Scene, limit: int = 100, worker: str = "w1", lane: Lane = LANE) -> list[str]:
    """As a worker does: waiting until something is pushed."""
    return ids(await scene.engine.broker.take([lane], limit, worker, LONG))


async def is_empty(scene: Scene, lane: Lane = LANE) -> bool:
    """No copy waits in the queue; one may be with a consumer."""
    return await rabbitmq.depth(scene.url, lane) == 0


async def test_what_is_settled_leaves_no_copy_behind(front: Scene) -> None:
    await front.put(*(str(n) for n in range(50)))
    taken = []
    while len(taken) < 50:
        taken += await front.engine.broker.take([LANE], 7, "w1", LONG)
    assert all([await front.settle(delivery) for delivery in reversed(taken)])
    await front.engine.broker.close()  # whatever was not acknowledged goes back to the queue
    await eventually(lambda: is_empty(front), within=LONG)


async def test_a_copy_of_what_runs_elsewhere_is_thrown_away(front: Scene) -> None:
    await front.put("a", "b")
    [a, _] = await front.take()
    first = front.engine
    front.engine = await front.another()
    await front.join("w2", lease=LONG)
    await first.broker._hopper._link._wire.close()  # type: ignore[attr-defined] # its copies go back
    await eventually(lambda: _has(front, 2), within=LONG)
    assert ids(await front.engine.broker.take([LANE], 5, "w2", 1.0)) == []
    assert await front.settle(a)
    await eventually(lambda: is_empty(front), within=LONG)
    await first.broker.close()


async def _has(scene: Scene, count: int) -> bool:
    return await rabbitmq.depth(scene.url, LANE) == count


async def test_bytes_that_are_no_message_go_to_the_dead_letters_with_the_reason(front: Scene) -> None:
    await front.put("good")
    await rabbitmq.publish(front.url, LANE, b"", b"\xc1", b'{"task": "celery.ping"}')
    taken = await front.engine.broker.take([LANE], 10, "w1", LONG)
    while len(taken) < 4:
        taken += await front.engine.broker.take([LANE], 10, "w1", LONG)
    for delivery in taken:
        if delivery.id != "good":
            outcome = refuse(delivery, {"app.work"}, time.time())
            assert delivery.message.lane == LANE and delivery.defect and outcome is not None
            assert await front.settle(delivery, outcome)
    letters = await front.engine.inspector.find(Search(dead=True))
    assert len(letters) == 3 and all("undecodable message" in (letter.reason or "") for letter in letters)
    assert any(b"celery.ping" in letter.args for letter in letters), "a person can see what it was"
    await eventually(lambda: is_empty(front), within=LONG)


async def test_the_same_garbage_twice_is_one_dead_letter_and_never_loops(front: Scene) -> None:
    await front.put("first")  # makes the queue
    await rabbitmq.publish(front.url, LANE, b"\xc1", b"\xc1")
    seen = []
    while len(seen) < 2:
        for delivery in await front.engine.broker.take([LANE], 1, "w1", LONG):
            seen.append(delivery.id)
            outcome = refuse(delivery, {"app.work"}, time.time()) or Done(b"\xc0")
            assert await front.settle(delivery, outcome)
    assert ids(await front.engine.broker.take([LANE], 1, "w1", 0.5)) == []
    assert len(await front.engine.inspector.find(Search(dead=True))) == 1


async def test_a_message_the_backend_has_lost_is_run_from_its_copy(front: Scene) -> None:
    await front.put("a", args=b"\x92\x91\x07\x80")
    backend(front).store.entries.clear()
    [delivery] = await front.engine.broker.take([LANE], 5, "w1", LONG)
    assert delivery.message.args == b"\x92\x91\x07\x80"
    assert await front.settle(delivery)


@pytest.mark.parametrize("ttl", [0.0, 3600.0])
async def test_a_cancelled_message_does_not_run_when_its_copy_comes(front: Scene, ttl: float) -> None:
    await front.put("a", "b", policy=Policy(result_ttl=ttl))
    assert list(await front.engine.broker.cancel(["a"])) == [True]
    assert await take(front) == ["b"]
    assert ids(await front.engine.broker.take([LANE], 5, "w1", 0.3)) == []


async def test_a_message_purged_by_its_id_does_not_run_when_its_copy_comes(front: Scene) -> None:
    await front.put("a", "b")
    assert await front.engine.inspector.act("purge", Search(ids=("a",))) == 1
    assert await take(front) == ["b"]


async def test_purging_a_queue_throws_its_copies_away_and_leaves_others(front: Scene) -> None:
    await front.put("a", "b", "c")
    await front.put("kept", queue="fast")
    assert await front.engine.inspector.act("purge", Search(queue="default")) == 3
    assert await rabbitmq.depth(front.url, LANE) == 0
    assert await take(front, lane=Lane("fast", "threads")) == ["kept"]
    await front.put("a")
    assert await take(front) == ["a"], "its id is free again"


async def test_an_ending_kept_for_no_time_is_not_run_again_by_a_copy_that_comes_back(front: Scene) -> None:
    await front.put("a", policy=Policy(result_ttl=0.0))
    [delivery] = await front.engine.broker.take([LANE], 5, "w1", LONG)
    await _break(front)
    assert await front.settle(delivery)
    assert ids(await front.engine.broker.take([LANE], 5, "w1", 1.0)) == []
    await eventually(lambda: is_empty(front), within=LONG)


async def _break(scene: Scene) -> None:
    """Lose the connection for taking, as a broken line would."""
    link = scene.engine.broker._hopper._link  # type: ignore[attr-defined]
    lost = link.wire
    lost._transport.abort()
    await asyncio.wait_for(lost.lost, LONG)


async def test_work_under_way_when_the_connection_breaks_is_settled_and_not_run_twice(front: Scene) -> None:
    await front.put(*(str(n) for n in range(20)))
    held = list(await front.engine.broker.take([LANE], 5, "w1", LONG))
    await _break(front)
    assert all([await front.settle(delivery) for delivery in held])
    seen = ids(held)
    while len(seen) < 20:
        taken = await front.engine.broker.take([LANE], 5, "w1", LONG)
        assert all([await front.settle(delivery) for delivery in taken])
        seen += ids(taken)
    assert sorted(seen, key=int) == [str(n) for n in range(20)]
    await eventually(lambda: is_empty(front), within=LONG)


async def test_what_a_full_worker_holds_ahead_goes_to_an_idle_one(front: Scene) -> None:
    await front.put("first")
    assert await take(front, 8) == ["first"]
    await front.put(*(f"more-{n}" for n in range(7)))
    await eventually(lambda: is_empty(front), within=LONG)  # all were pushed to the first, which asks for no more
    other = await front.another()
    await other.broker.beat(heartbeat("w2", lease=LONG))
    seen: list[str] = []
    while len(seen) < 7:
        seen += ids(await other.broker.take([LANE], 7, "w2", LONG))
    assert sorted(seen) == sorted(f"more-{n}" for n in range(7))
    await other.broker.close()


async def test_a_pool_gets_as_many_as_it_has_slots_however_many_run(front: Scene) -> None:
    await front.put(*(str(n) for n in range(300)))
    seen: list[str] = []
    while len(seen) < 300:
        seen += ids(await front.engine.broker.take([LANE], min(40, 300 - len(seen)), "w1", LONG))
    assert len(set(seen)) == 300, "all of them run at once and none was settled"


async def test_a_waiting_take_is_not_kept_from_the_backends_lanes_by_a_busy_queue(front: Scene) -> None:
    await front.put(*(str(n) for n in range(200)))
    await front.put("late", due=time.time() + 0.01)
    seen: list[str] = []
    while "late" not in seen:
        for delivery in await front.engine.broker.take([LANE], 1, "w1", LONG):
            seen.append(delivery.id)
            await front.settle(delivery)
        await front.put(f"more-{len(seen)}")
    assert len(seen) < 200


async def test_a_deleted_queue_is_made_again_and_nothing_sent_is_lost(
    front: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    await front.put("a")
    [delivery] = await front.engine.broker.take([LANE], 5, "w1", LONG)
    await front.settle(delivery)
    await rabbitmq.call(front.url, commands.Queue.Delete(queue=rabbitmq.queue_name(front.url, LANE)))
    await front.put("b")
    monkeypatch.setattr(hopper, "RENEWED_AFTER", 0.1)

    async def is_brought() -> bool:
        return ids(await front.engine.broker.take([LANE], 5, "w1", 0.2)) == ["b"]

    await eventually(is_brought, within=LONG)


@pytest.mark.parametrize("loses", [commands.Queue.Delete, commands.Queue.Purge])
async def test_what_was_in_a_queue_that_somebody_deleted_or_emptied_is_run_all_the_same(
    front: Scene, monkeypatch: pytest.MonkeyPatch, loses: type
) -> None:
    monkeypatch.setattr(hopper, "LOOK_EVERY", 0.1)
    sent = [str(n) for n in range(20)]
    await front.put(*sent)
    await rabbitmq.call(front.url, loses(queue=rabbitmq.queue_name(front.url, LANE)))
    seen: list[str] = []
    while len(seen) < len(sent):
        taken = await front.engine.broker.take([LANE], 7, "w1", LONG)
        assert taken, f"only {len(seen)} came"
        assert all([await front.settle(delivery) for delivery in taken])
        seen += ids(taken)
    assert seen == sent


async def test_a_queue_made_otherwise_is_refused_with_what_to_delete(front: Scene) -> None:
    name = rabbitmq.queue_name(front.url, LANE)
    await rabbitmq.call(front.url, commands.Queue.Declare(queue=name, durable=True))
    with pytest.raises(ConfigurationError, match=f"rabbitmqctl delete_queue -p / {name}"):
        await front.put("a")
    assert await front.state("a") is None, "nothing was written"
    with pytest.raises(ConfigurationError, match="delete"):
        await take(front)
    await rabbitmq.call(front.url, commands.Queue.Delete(queue=name))
    await front.put("a")
    assert await take(front) == ["a"]


async def test_a_priority_is_refused_before_anything_is_written(front: Scene) -> None:
    with pytest.raises(TraitMissing, match="queue_type=classic"):
        await front.engine.broker.put([message("a"), message("b", priority=1)])
    assert await front.state("a") is None


async def test_names_of_any_letters_have_queues_of_their_own(front: Scene) -> None:
    for queue in ("straße & söhne", "a b", "a%20b", "x" * 200):
        await front.put(f"of {queue}", queue=queue)
        assert await take(front, lane=Lane(queue, "threads")) == [f"of {queue}"]
    with pytest.raises(ConfigurationError, match="255 is the most"):
        await front.put("a", queue="ä" * 200)


async def test_what_a_cancelled_take_had_claimed_comes_again_uncounted(front: Scene) -> None:
    for turns in range(1, 30):
        await front.put(str(turns))
        taking = asyncio.create_task(front.engine.broker.take([LANE], 3, "w1", LONG))
        for _ in range(turns * 4):
            await asyncio.sleep(0)
        taking.cancel()
        [taken] = await asyncio.gather(taking, return_exceptions=True)
        if isinstance(taken, list):
            await front.engine.broker.settle([front.settlement(delivery, Deferred()) for delivery in taken])
    seen = []
    while len(seen) < 29:
        seen += await front.engine.broker.take([LANE], 30, "w1", LONG)
    assert {delivery.deliveries for delivery in seen} == {1}
    assert len(set(ids(seen))) == 29


async def test_a_long_task_keeps_no_copy_unacknowledged(front: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hopper, "LONG", 0.0002)  # of half an hour
    engine = RabbitEngine(Options.parse(front.url), backend(front))
    await front.put("a")
    [delivery] = await engine.broker.take([LANE], 1, "w1", LONG)
    copies = engine.broker._hopper._copies

    async def is_let_go() -> bool:
        return copies.unacked(LANE) == 0

    await eventually(is_let_go, within=LONG)
    assert await front.state("a") == "running"
    assert list(await engine.broker.settle([front.settlement(delivery, Done(b"\x01"))])) == [True]
    await engine.broker.close()
    await eventually(lambda: is_empty(front), within=LONG)
