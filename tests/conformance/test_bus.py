"""What every engine promises of streams: events in order, from a cursor, until the end."""

import asyncio

import pytest

from polypool.core.event import Event
from polypool.core.message import Policy
from polypool.core.outcome import Lost
from tests.conformance.scene import PATIENCE, Clock, Scene, event

pytestmark = pytest.mark.needs("events")


async def running(scene: Scene, id: str = "a", **fields: object) -> object:
    await scene.put(id, **fields)
    await scene.join(lease=1000.0)
    return await scene.take_one()


async def test_a_stream_is_read_from_its_beginning_or_from_a_cursor(scene: Scene) -> None:
    await running(scene)
    sent = [event(1, number, {"text": f"…{number}"}) for number in range(1, 6)]
    await scene.engine.bus.append([("a", one) for one in sent])
    page = await scene.engine.bus.follow("a", None, 5)
    assert (list(page.events), page.record, page.is_gone) == (sent, None, False)
    assert list((await scene.engine.bus.follow("a", "1-3", 5)).events) == sent[3:]
    assert list((await scene.engine.bus.follow("a", sent[-1].id, 0)).events) == []


async def test_an_event_added_twice_counts_once(scene: Scene) -> None:
    await running(scene)
    for _ in range(2):
        await scene.engine.bus.append([("a", event(1, 1)), ("a", event(1, 2))])
    assert [one.number for one in (await scene.engine.bus.follow("a", None, 0)).events] == [1, 2]


async def test_events_of_a_later_run_come_after_those_of_an_earlier_one(scene: Scene) -> None:
    await running(scene)
    await scene.engine.bus.append([("a", event(2, 1)), ("a", event(1, 10)), ("a", event(1, 2)), ("a", event(10, 1))])
    page = await scene.engine.bus.follow("a", None, 0)
    assert [one.id for one in page.events] == ["1-2", "1-10", "2-1", "10-1"]
    assert [one.id for one in (await scene.engine.bus.follow("a", "1-10", 0)).events] == ["2-1", "10-1"]


async def test_a_follower_is_woken_by_an_event(scene: Scene) -> None:
    await running(scene)
    other = await scene.another()
    following = asyncio.create_task(other.bus.follow("a", None, 600))
    await asyncio.sleep(0)
    await scene.engine.bus.append([("a", event(1, 1))])
    page = await asyncio.wait_for(following, PATIENCE)
    assert [one.number for one in page.events] == [1]
    if other is not scene.engine:
        await other.broker.close()


async def test_a_follower_is_not_woken_by_other_streams(scene: Scene) -> None:
    await running(scene, "a")
    await running(scene, "b")
    following = asyncio.create_task(scene.engine.bus.follow("a", None, 0.1))
    await asyncio.sleep(0)
    await scene.engine.bus.append([("b", event(1, 1))])
    page = await asyncio.wait_for(following, PATIENCE)
    assert (page.events, page.record, page.is_gone) == ((), None, False)


async def test_the_record_comes_with_the_last_events(scene: Scene) -> None:
    delivery = await running(scene)
    await scene.engine.bus.append([("a", event(1, 1)), ("a", event(1, 2))])
    following = asyncio.create_task(scene.engine.bus.follow("a", "1-2", 600))
    await asyncio.sleep(0)
    await scene.settle(delivery)  # type: ignore[arg-type]
    page = await asyncio.wait_for(following, PATIENCE)
    assert page.events == () and page.record is not None and page.record.state == "succeeded"
    page = await scene.engine.bus.follow("a", "1-1", 600)
    assert [one.number for one in page.events] == [2] and page.record is not None


async def test_a_task_that_waits_has_a_stream_that_waits(scene: Scene) -> None:
    await scene.put("a")
    page = await scene.engine.bus.follow("a", None, 0.01)
    assert (page.events, page.record, page.is_gone) == ((), None, False)


async def test_the_stream_of_an_unknown_task_is_gone(scene: Scene) -> None:
    assert (await asyncio.wait_for(scene.engine.bus.follow("unknown", None, 600), PATIENCE)).is_gone
    await scene.engine.bus.append([("unknown", event(1, 1))])
    assert (await scene.engine.bus.follow("unknown", None, 0)).is_gone


async def test_a_stream_goes_with_the_ending_of_its_task(scene: Scene, clock: Clock) -> None:
    delivery = await running(scene, policy=Policy(result_ttl=10.0))
    await scene.engine.bus.append([("a", event(1, 1))])
    await scene.settle(delivery)  # type: ignore[arg-type]
    assert (await scene.engine.bus.follow("a", None, 0)).events
    clock.move(10)
    assert (await scene.engine.bus.follow("a", None, 0)).is_gone


async def test_a_stream_of_a_task_that_keeps_nothing_ends_with_it(scene: Scene) -> None:
    delivery = await running(scene, policy=Policy(result_ttl=0.0))
    await scene.engine.bus.append([("a", event(1, 1))])
    await scene.settle(delivery)  # type: ignore[arg-type]
    assert (await scene.engine.bus.follow("a", "1-1", 0)).is_gone
    await scene.put("a")
    assert (await scene.engine.bus.follow("a", None, 0)).events == ()


async def test_a_dead_letter_keeps_its_stream(scene: Scene, clock: Clock) -> None:
    delivery = await running(scene, policy=Policy(max_lost=1))
    await scene.engine.bus.append([("a", event(1, 1))])
    await scene.settle(delivery, Lost("killed"))  # type: ignore[arg-type]
    clock.move(10_000_000)
    page = await scene.engine.bus.follow("a", None, 0)
    assert len(page.events) == 1 and page.record is not None and page.record.is_dead


async def test_a_stream_keeps_the_newest_and_says_when_a_cursor_is_too_old(scene: Scene) -> None:
    await running(scene)
    for start in range(1, 3001, 250):
        await scene.engine.bus.append([("a", event(1, number)) for number in range(start, start + 250)])
    page = await scene.engine.bus.follow("a", None, 0)
    numbers = [one.number for one in page.events]
    assert 1000 <= len(numbers) <= 1100
    assert numbers == list(range(3001 - len(numbers), 3001))
    assert (await scene.engine.bus.follow("a", "1-5", 0)).is_gone
    assert (await scene.engine.bus.follow("a", f"1-{numbers[0] - 2}", 0)).is_gone
    whole = await scene.engine.bus.follow("a", f"1-{numbers[0] - 1}", 0)
    assert not whole.is_gone and len(whole.events) == len(numbers)


async def test_events_that_come_too_late_do_not_open_a_gap(scene: Scene) -> None:
    await running(scene)
    await scene.engine.bus.append([("a", event(1, number)) for number in range(1, 2561)])
    await scene.engine.bus.append([("a", event(1, 3))])
    assert (await scene.engine.bus.follow("a", "1-2", 0)).is_gone
    assert (await scene.engine.bus.follow("a", None, 0)).events[0].number > 1000


async def test_a_cursor_that_is_none_is_refused_in_words(scene: Scene) -> None:
    await running(scene)
    with pytest.raises(ValueError, match="ids look like"):
        await scene.engine.bus.follow("a", "yesterday", 0)


async def test_data_of_an_event_comes_back_as_it_was(scene: Scene) -> None:
    await running(scene)
    sent = Event(1, 1, "progress", bytes(range(256)) * 200, at=1234.5678)
    await scene.engine.bus.append([("a", sent)])
    assert (await scene.engine.bus.follow("a", None, 0)).events == (sent,)
