"""What every engine shows people, and what they can do to dead letters and to what waits."""

import pytest

from polypool.core.lifecycle import State
from polypool.core.message import Lane, Policy
from polypool.core.outcome import Dead, Done
from polypool.core.report import LaneCount, PoolReport, Search
from tests.conformance.scene import LEASE, Clock, Scene, heartbeat, ids


async def test_lanes_are_counted_by_state_with_their_oldest(scene: Scene, clock: Clock) -> None:
    start = clock()
    await scene.put("a", "b", "c", sent_at=start)
    await scene.put("later", due=start + 60)
    clock.move(5)
    await scene.put("d", sent_at=start + 5)
    await scene.put("e", queue="fast", pool="gevent", sent_at=start + 5)
    await scene.join(lease=1000.0)
    await scene.settle(await scene.take_one())
    await scene.take_one()
    assert list(await scene.engine.inspector.lanes()) == [
        LaneCount("default", "threads", queued=2, scheduled=1, running=1, oldest=start),
        LaneCount("fast", "gevent", queued=1, scheduled=0, running=0, oldest=start + 5),
    ]


async def test_a_lane_where_nothing_is_left_is_not_shown(scene: Scene) -> None:
    await scene.put("a")
    await scene.join()
    await scene.settle(await scene.take_one())
    assert list(await scene.engine.inspector.lanes()) == []


async def test_workers_are_shown_with_what_they_hold_and_whether_they_live(scene: Scene, clock: Clock) -> None:
    await scene.put("a", "b")
    pools = (PoolReport("threads", 1, 32, 2, memory=1 << 20),)
    await scene.join("w1", app="app", queues=("default",), pools=pools)
    await scene.take(worker="w1")
    clock.move(1)
    await scene.join("w2")
    first, second = await scene.engine.inspector.workers()
    assert first.heartbeat == heartbeat("w1", app="app", queues=("default",), pools=pools)
    assert (first.holds, first.is_alive, first.seen_at) == (2, True, clock() - 1)
    assert (second.heartbeat.worker, second.holds, second.seen_at) == ("w2", 0, clock())
    clock.move(LEASE - 1)
    assert [view.is_alive for view in await scene.engine.inspector.workers()] == [False, True]


async def test_a_waiting_message_is_shown_with_its_arguments(scene: Scene, clock: Clock) -> None:
    priority = scene.priority(4)
    await scene.put("a", args=b"\x92\x91\x05\x80", priority=priority, sent_at=clock() - 3, due=clock() + 9, attempt=2)
    [view] = await scene.engine.inspector.find(Search(ids=("a",)))
    assert (view.id, view.task, view.state, view.queue, view.pool) == (
        "a",
        "app.work",
        "scheduled",
        "default",
        "threads",
    )
    assert (view.priority, view.attempt, view.args, view.sent_at) == (priority, 2, b"\x92\x91\x05\x80", clock() - 3)
    assert (view.due, view.worker, view.reason, view.ended_at) == (clock() + 9, None, None, None)


async def test_a_running_and_an_ended_message_are_shown(scene: Scene, clock: Clock) -> None:
    await scene.put("a", "b", sent_at=clock())
    await scene.join("w1")
    clock.move(1)
    await scene.settle(await scene.take_one(), Done(b"\x01"))
    await scene.take_one()
    running, ended = await scene.engine.inspector.find(Search())
    assert (running.id, running.state, running.worker, running.attempt) == ("b", "running", "w1", 1)
    assert (ended.id, ended.state, ended.worker, ended.attempt) == ("a", "succeeded", None, 1)
    assert (ended.ended_at, ended.sent_at, ended.due) == (clock(), clock() - 1, None)


@pytest.mark.parametrize(
    ("search", "found"),
    [
        (Search(), ["dead", "ended", "fast", "c", "b", "a"]),
        (Search(limit=2), ["dead", "ended"]),
        (Search(ids=("c", "a", "unknown")), ["c", "a"]),
        (Search(ids=()), []),
        (Search(queue="fast"), ["fast"]),
        (Search(task="app.other"), ["fast", "b"]),
        (Search(task="app.other", queue="default"), ["b"]),
        (Search(state=State.QUEUED), ["fast", "c", "b", "a"]),
        (Search(state=State.FAILED), ["dead"]),
        (Search(state=State.SUCCEEDED), ["ended"]),
        (Search(state=State.RUNNING), []),
        (Search(dead=True), ["dead"]),
        (Search(dead=True, queue="fast"), []),
    ],
    ids=repr,
)
async def test_finding_is_by_every_field_newest_first(scene: Scene, search: Search, found: list[str]) -> None:
    await scene.join()
    await scene.put("a")
    await scene.put("b", task="app.other")
    await scene.put("c")
    await scene.put("fast", task="app.other", queue="fast")
    await scene.put("ended", "dead", pool="gevent", policy=Policy(max_lost=1))
    ended, dead = await scene.take(2, lane=Lane("default", "gevent"))
    await scene.settle(ended)
    await scene.settle(dead, Dead("unknown task"))
    assert ids(await scene.engine.inspector.find(search)) == found


async def test_a_dead_letter_says_why_and_keeps_its_message(scene: Scene, clock: Clock) -> None:
    await scene.join()
    await scene.bury("a")
    clock.move(365 * 86_400)
    [view] = await scene.engine.inspector.find(Search(dead=True))
    assert view.reason is not None and "killed by signal 9" in view.reason
    assert (view.state, view.args) == ("failed", b"\x92\x90\x80")


async def test_a_requeued_dead_letter_runs_as_if_new_under_a_new_token(scene: Scene) -> None:
    await scene.join()
    await scene.bury("a")
    await scene.bury("b")
    assert await scene.engine.inspector.act("requeue", Search(ids=("a",), dead=True)) == 1
    assert ids(await scene.engine.inspector.find(Search(dead=True))) == ["b"]
    delivery = await scene.take_one()
    assert (delivery.id, delivery.deliveries, delivery.token) == ("a", 1, 2)
    assert await scene.settle(delivery, Done(b"\x01"))
    assert await scene.engine.inspector.act("requeue", Search(dead=True)) == 1
    assert ids(await scene.take()) == ["b"]


async def test_an_undecodable_dead_letter_is_kept_as_it_came_and_can_be_requeued(scene: Scene) -> None:
    await scene.put("a")
    scene.spoil("a")
    await scene.join()
    await scene.settle(await scene.take_one(), Dead("undecodable message"))
    [view] = await scene.engine.inspector.find(Search(dead=True))
    assert (view.id, view.reason) == ("a", "undecodable message")
    await scene.engine.inspector.act("requeue", Search(dead=True))
    again = await scene.take_one()
    assert again.defect and again.body == b"\xc1"


async def test_only_dead_letters_are_requeued(scene: Scene) -> None:
    await scene.put("a", "b")
    await scene.join()
    await scene.settle(await scene.take_one())
    assert await scene.engine.inspector.act("requeue", Search()) == 0
    assert ids(await scene.take()) == ["b"]


async def test_purging_dead_letters_deletes_them_and_nothing_else(scene: Scene) -> None:
    await scene.join()
    await scene.bury("a")
    await scene.bury("b")
    await scene.put("c")
    assert await scene.engine.inspector.act("purge", Search(dead=True, ids=("a",))) == 1
    assert await scene.engine.inspector.act("purge", Search(dead=True)) == 1
    assert [await scene.state(id) for id in "abc"] == [None, None, "queued"]


async def test_purging_a_queue_deletes_what_waits_there_and_spares_what_runs_or_ended(
    scene: Scene, clock: Clock
) -> None:
    await scene.put("ended", "running", "waiting")
    await scene.put("later", due=clock() + 60)
    await scene.put("other", queue="other")
    await scene.join()
    await scene.settle(await scene.take_one())
    running = await scene.take_one()
    assert await scene.engine.inspector.act("purge", Search(queue="default", limit=1)) == 2, "limit is for finding"
    states = [await scene.state(id) for id in ("ended", "running", "waiting", "later", "other")]
    assert states == ["succeeded", "running", None, None, "queued"]
    assert await scene.settle(running)


async def test_purging_spares_the_dead_letters_unless_they_are_meant(scene: Scene) -> None:
    await scene.join()
    await scene.bury("a")
    assert await scene.engine.inspector.act("purge", Search()) == 0
    assert await scene.state("a") == "failed"


async def test_three_thousand_are_purged_in_one_call(scene: Scene) -> None:
    await scene.put(*(str(n) for n in range(3000)))
    assert await scene.engine.inspector.act("purge", Search(queue="default")) == 3000
    assert list(await scene.engine.inspector.lanes()) == []
