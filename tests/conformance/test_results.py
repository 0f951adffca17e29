"""What every engine promises of results: read what is known, wait for what is not."""

import asyncio

import pytest

from polypool.core.event import Record
from polypool.core.lifecycle import State
from polypool.core.message import Policy
from polypool.core.outcome import Done, Failed, Failure, Lost, Usage
from tests.conformance.scene import PATIENCE, Clock, Scene, eventually, message

pytestmark = pytest.mark.needs("results")


async def test_a_record_tells_all_that_is_known_of_an_ending(scene: Scene, clock: Clock) -> None:
    await scene.put("done", "failed")
    await scene.join()
    done, failed = await scene.take()
    clock.move(2)
    usage, failure = Usage(started_at=1.5, wall=0.25, cpu=0.125), Failure("ValueError", "näh", "Traceback …")
    await scene.settle(done, Done(b"\xa5value", usage))
    await scene.settle(failed, Failed(failure))
    assert list(await scene.engine.results.read(["failed", "unknown", "done"])) == [
        Record("failed", State.FAILED, "app.work", failure=failure, ended_at=clock()),
        None,
        Record("done", State.SUCCEEDED, "app.work", value=b"\xa5value", ended_at=clock(), usage=usage),
    ]


async def test_a_record_tells_where_an_unended_message_is(scene: Scene, clock: Clock) -> None:
    await scene.put("running")
    await scene.join()
    await scene.take()
    await scene.put("queued")
    await scene.put("scheduled", due=clock() + 1)
    records = await scene.engine.results.read(["running", "queued", "scheduled"])
    assert records == [
        Record(state.value, state, "app.work") for state in (State.RUNNING, State.QUEUED, State.SCHEDULED)
    ]


async def test_a_result_of_a_megabyte_comes_back_whole(scene: Scene) -> None:
    await scene.put("a", "b")
    await scene.join()
    a, b = await scene.take()
    large = bytes(range(256)) * 4096
    assert await scene.settle(a, Done(large)) and await scene.settle(b, Done(b""))
    [first, second] = await scene.engine.results.read(["a", "b"])
    assert first is not None and first.value == large
    assert second is not None and second.value == b""


async def test_reading_five_thousand_at_once_keeps_the_order_asked_for(scene: Scene) -> None:
    names = [f"task-{n}" for n in range(5000)]
    assert all(await scene.engine.broker.put([message(name) for name in names]))
    asked = names[::-1]
    records = await scene.engine.results.read(asked)
    assert [record.id if record else None for record in records] == asked


async def test_waiting_ends_with_the_first_ending(scene: Scene) -> None:
    await scene.put("a", "b")
    await scene.join()
    a, b = await scene.take()
    other = await scene.another()
    waiting = asyncio.create_task(other.results.wait(["a", "b", "unknown"], 600))
    await asyncio.sleep(0)
    await scene.settle(b)
    assert [record.id for record in await asyncio.wait_for(waiting, PATIENCE)] == ["b"]
    waiting = asyncio.create_task(other.results.wait(["a"], 600))
    await asyncio.sleep(0)
    await scene.settle(a)
    assert [record.id for record in await asyncio.wait_for(waiting, PATIENCE)] == ["a"]
    if other is not scene.engine:
        await other.broker.close()


async def test_what_has_ended_is_answered_at_once_and_again(scene: Scene) -> None:
    await scene.put("a", "b")
    await scene.join()
    await scene.settle(await scene.take_one())
    for _ in range(3):
        assert [
            record.id for record in await asyncio.wait_for(scene.engine.results.wait(["b", "a"], 600), PATIENCE)
        ] == ["a"]


async def test_waiting_for_what_does_not_end_is_over_in_time(scene: Scene) -> None:
    await scene.put("a")
    assert list(await asyncio.wait_for(scene.engine.results.wait(["a"], 0.05), PATIENCE)) == []
    assert list(await asyncio.wait_for(scene.engine.results.wait(["a"], 0), PATIENCE)) == []


async def test_waiting_for_only_unknown_ids_ends_at_once(scene: Scene) -> None:
    assert list(await asyncio.wait_for(scene.engine.results.wait(["x", "y"], 600), PATIENCE)) == []
    assert list(await asyncio.wait_for(scene.engine.results.wait([], 600), PATIENCE)) == []


async def test_waiting_for_a_result_that_is_not_kept_ends_with_nothing(scene: Scene) -> None:
    await scene.put("a", policy=Policy(result_ttl=0.0))
    await scene.join()
    delivery = await scene.take_one()
    waiting = asyncio.create_task(scene.engine.results.wait(["a"], 600))
    await asyncio.sleep(0)
    await scene.settle(delivery)
    assert list(await asyncio.wait_for(waiting, PATIENCE)) == []


async def test_a_cancelled_message_ends_its_waiters(scene: Scene) -> None:
    await scene.put("a")
    waiting = asyncio.create_task(scene.engine.results.wait(["a"], 600))
    await asyncio.sleep(0)
    await scene.engine.broker.cancel(["a"])
    assert [record.state for record in await asyncio.wait_for(waiting, PATIENCE)] == ["cancelled"]


async def test_a_dead_letter_ends_its_waiters_as_dead(scene: Scene) -> None:
    await scene.put("a", policy=Policy(max_lost=1))
    await scene.join()
    delivery = await scene.take_one()
    waiting = asyncio.create_task(scene.engine.results.wait(["a"], 600))
    await asyncio.sleep(0)
    await scene.settle(delivery, Lost("segmentation fault"))
    [record] = await asyncio.wait_for(waiting, PATIENCE)
    assert record.is_dead and record.state == "failed"
    assert record.failure is not None and "segmentation fault" in record.failure.message


async def test_waiting_in_turns_for_ten_thousand_brings_each_once(scene: Scene) -> None:
    """As a group's `as_completed` does: ask for all, get some, ask for the rest."""
    names = [f"task-{n}" for n in range(10_000)]
    await scene.engine.broker.put([message(name) for name in names])
    await scene.join(lease=1000.0)
    other = await scene.another()

    async def work() -> None:
        while taken := await scene.take(500):
            await scene.engine.broker.settle([scene.settlement(delivery, Done(b"\x01")) for delivery in taken])

    working, left, seen = asyncio.create_task(work()), dict.fromkeys(names), 0
    while left:
        for record in await asyncio.wait_for(other.results.wait(list(left), 600), PATIENCE):
            del left[record.id]
            seen += 1
    await working
    assert seen == 10_000
    if other is not scene.engine:
        await other.broker.close()


async def test_many_waiters_for_one_task_are_all_told(scene: Scene) -> None:
    await scene.put("a", "b")
    await scene.join()
    waiting = [asyncio.create_task(scene.engine.results.wait(["a"], 600)) for _ in range(50)]
    alone = asyncio.create_task(scene.engine.results.wait(["b"], 600))
    await asyncio.sleep(0)
    await scene.settle(await scene.take_one())
    assert [len(found) for found in await asyncio.wait_for(asyncio.gather(*waiting), PATIENCE)] == [1] * 50
    assert not alone.done()
    alone.cancel()
    await asyncio.gather(alone, return_exceptions=True)


async def test_a_requeued_dead_letter_can_be_waited_for_again(scene: Scene) -> None:
    from polypool.core.report import Search

    await scene.join()
    await scene.bury("a")
    assert await scene.engine.inspector.act("requeue", Search(ids=("a",), dead=True)) == 1

    async def is_unended() -> bool:
        return await scene.engine.results.wait(["a"], 0) == []

    await eventually(is_unended)
    waiting = asyncio.create_task(scene.engine.results.wait(["a"], 600))
    await asyncio.sleep(0)
    await scene.settle(await scene.take_one(), Done(b"\x07"))
    assert [record.value for record in await asyncio.wait_for(waiting, PATIENCE)] == [b"\x07"]
