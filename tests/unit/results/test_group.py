"""GroupResult: many tasks behind one id and a count."""

import asyncio
import threading
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from polypool import AsyncResult, GroupResult, Polypool, ResultUnknown, TaskFailed, WaitInsideTask
from polypool.core.codec import encode
from polypool.core.outcome import Done
from polypool.core.running import running
from polypool.results.members import WINDOW
from tests.unit.by_hand import EngineByHand


@pytest.fixture
def engine() -> EngineByHand:
    return EngineByHand()


@pytest.fixture
def app(engine: EngineByHand) -> Iterator[Polypool]:
    app = Polypool("unit", broker=engine)

    @app.task(name="double")
    def double(n: int) -> int:
        return 2 * n

    yield app
    app.close()


def send(app: Polypool, count: int) -> GroupResult[int]:
    return app.tasks["double"].map(range(count))


def fails_at(*numbers: int) -> Any:
    def run(n: int) -> int:
        if n in numbers:
            raise ValueError(f"not {n}")
        return 2 * n

    return run


def test_all_values_come_in_the_order_of_sending(engine: EngineByHand, app: Polypool) -> None:
    group = send(app, 2500)
    engine.run_all(fails_at())
    assert group.get(timeout=60) == [2 * n for n in range(2500)]
    assert list(group) == [2 * n for n in range(2500)]
    assert len(group) == 2500


async def test_all_values_can_be_awaited(engine: EngineByHand, app: Polypool) -> None:
    group = await app.tasks["double"].amap(range(40))
    await asyncio.to_thread(engine.run_all, fails_at())
    assert await group == [2 * n for n in range(40)]
    assert [value async for value in group] == [2 * n for n in range(40)]
    assert {result.id async for result in group.aas_completed()} == {result.id for result in group.results}
    assert await group.acompleted_count() == 40
    assert await group.aready()


def test_values_are_waited_for_while_they_come(engine: EngineByHand, app: Polypool) -> None:
    group = send(app, 100)
    got: list[int] = []
    waiter = threading.Thread(target=lambda: got.extend(group))
    waiter.start()
    while taken := engine.take(7):
        for delivery in reversed(taken):
            engine.end(delivery, Done(encode(int(delivery.id.rpartition("-")[2]))))
    waiter.join(60)
    assert got == list(range(100))


def test_the_first_failure_raises_or_stands_in_its_place(engine: EngineByHand, app: Polypool) -> None:
    group = send(app, 10)
    engine.run_all(fails_at(3, 7))
    with pytest.raises(TaskFailed, match=r"-3: ValueError: not 3"):
        group.get()
    values = group.get(raise_errors=False)
    assert [type(value) for value in values].count(TaskFailed) == 2
    assert values[4] == 8
    assert isinstance(values[7], TaskFailed)


def test_a_member_is_an_ordinary_result(engine: EngineByHand, app: Polypool) -> None:
    group = send(app, 5)
    engine.run_all(fails_at())
    assert isinstance(group[2], AsyncResult)
    assert group[2].id == f"{group.id}-2"
    assert group[2].get() == 4
    assert group[-1].get() == 8
    for outside in (5, -6):
        with pytest.raises(IndexError, match="has 5 tasks"):
            group[outside]


def test_results_are_a_sequence_made_when_looked_at(app: Polypool) -> None:
    group = send(app, 5)
    assert [result.id for result in group.results] == [f"{group.id}-{n}" for n in range(5)]
    assert [result.id for result in group.results[1:5:2]] == [f"{group.id}-1", f"{group.id}-3"]
    assert len(group.results) == 5


def test_the_count_of_those_that_ended_grows(engine: EngineByHand, app: Polypool) -> None:
    group = send(app, 3)
    assert (group.completed_count, group.ready()) == (0, False)
    for done in (1, 2, 3):
        (delivery,) = engine.take()
        engine.end(delivery, Done(encode(0)))
        assert group.completed_count == done
    assert group.ready()


def test_results_come_as_they_end(engine: EngineByHand, app: Polypool) -> None:
    group = send(app, 3)
    taken = engine.take(3)
    coming = group.as_completed(timeout=60)
    for delivery in (taken[2], taken[0], taken[1]):
        engine.end(delivery, Done(encode(1)))
        assert next(coming).id == delivery.id
    assert list(coming) == []


def test_results_come_as_they_end_beyond_one_window(engine: EngineByHand, app: Polypool) -> None:
    group = send(app, 2 * WINDOW + 1)
    engine.run_all(fails_at())
    seen = [result.id for result in group.as_completed(timeout=60)]
    assert len(seen) == len(set(seen)) == 2 * WINDOW + 1


def test_waiting_for_a_group_gives_up_in_time(app: Polypool) -> None:
    group = send(app, 3)
    with pytest.raises(TimeoutError):
        group.get(timeout=0.01)
    with pytest.raises(TimeoutError, match="of its 3 tasks"):
        next(group.as_completed(timeout=0.01))


def test_a_group_can_be_taken_up_again_by_id_and_count(engine: EngineByHand, app: Polypool) -> None:
    group = send(app, 4)
    engine.run_all(fails_at())
    assert app.group_result(group.id, 4).get() == [0, 2, 4, 6]
    with pytest.raises(ResultUnknown):
        app.group_result(group.id, 5).get()
    with pytest.raises(ResultUnknown):
        list(app.group_result("nobody", 2).as_completed())


def test_cancelling_ends_all_that_wait(engine: EngineByHand, app: Polypool) -> None:
    group = send(app, 1200)
    (first,) = engine.take()
    engine.end(first, Done(encode(0)))
    assert group.cancel() == 1199
    assert group.cancel() == 0
    assert group.completed_count == 1200


def test_an_empty_group_is_ready_and_has_no_values(app: Polypool) -> None:
    group = send(app, 0)
    assert (group.get(), list(group), list(group.as_completed())) == ([], [], [])
    assert group.ready()


def test_a_task_that_waits_for_a_group_is_refused_unless_it_has_ended(engine: EngineByHand, app: Polypool) -> None:
    group = send(app, 2)
    token = running.set(object())  # type: ignore[arg-type]  # that something runs is all that counts here
    try:
        for wait in (group.get, lambda: list(group), lambda: list(group.as_completed())):
            with pytest.raises(WaitInsideTask):
                wait()
        engine.run_all(fails_at())
        assert group.get() == list(group) == [0, 2]
        assert len(list(group.as_completed())) == 2
    finally:
        running.reset(token)


def test_a_group_of_a_million_holds_no_list() -> None:
    app = Polypool("unit", broker="memory://")
    tracemalloc.start()
    try:
        group = app.group_result("g", 1_000_000)
        assert len(group) == 1_000_000
        assert group[999_999].id == "g-999999"
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2_000_000
