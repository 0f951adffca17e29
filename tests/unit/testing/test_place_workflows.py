"""run_in_place runs workflows as a worker would: in order, with each other's results, and to their ends."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from polypool import FailedStep, Polypool, TaskFailed, chain, chord, group
from polypool.testing import captured, run_in_place
from polypool.testing.place import Place
from polypool.values import Values

app = Polypool("shop", broker="nowhere://never-opened")
told: list[FailedStep] = []


@app.task(name="shop.add")
def add(a: int, b: int) -> int:
    return a + b


@app.task(name="shop.double")
def double(value: int) -> int:
    return 2 * value


@app.task(name="shop.aadd")
async def aadd(a: int, b: int) -> int:
    return a + b


@app.task(name="shop.total")
def total(parts: Values[int]) -> int:
    return sum(parts)


@app.task(name="shop.fail")
def fail(value: int) -> int:
    raise ValueError(value)


@app.task(name="shop.tell")
def tell(failed: FailedStep) -> None:
    told.append(failed)


@app.task(name="shop.more")
def more(value: int) -> Any:
    return chain(add.s(value, 1), aadd.s(10))


@app.task(name="shop.asks")
async def asks(value: int) -> int:
    return value if value == 0 else 1 + await (await asks.adelay(value - 1))


@pytest.fixture
def place() -> Iterator[Place]:
    with run_in_place(app) as place:
        yield place


def test_steps_run_in_order_and_get_each_others_results(place: Place) -> None:
    assert chain(add.s(1, 2), aadd.s(3), add.s(4)).delay().get() == 10
    assert chord(group(add.s(i, i) for i in range(4)), total.s()).delay().get() == 12
    assert group(add.s(i, i) for i in range(4)).delay().get() == [0, 2, 4, 6]
    assert chain(group(add.s(i, i) for i in range(2)), total.s(), add.s(1)).delay().get() == 3


def test_a_chord_over_thousands_gets_its_values_a_page_at_a_time(place: Place) -> None:
    assert chord(group(add.s(i, 0) for i in range(2500)), total.s()).delay().get() == sum(range(2500))


def test_a_step_that_fails_ends_those_behind_it_and_is_told_to_its_callback(place: Place) -> None:
    told.clear()
    result = chain(add.s(1, 1), fail.s(), add.s(1)).link_error(tell.s()).delay()
    with pytest.raises(TaskFailed, match=r"shop\.fail .*ValueError: 2"):
        result.get()
    (failed,) = told
    assert (failed.task, failed.type, failed.message) == ("shop.fail", "builtins.ValueError", "2")
    assert failed.workflow_id == result.id


def test_a_task_that_returns_a_workflow_is_replaced_by_it(place: Place) -> None:
    assert more.delay(5).get() == 16
    assert chain(more.s(5), add.s(100)).delay().get() == 116
    assert [sent.task for sent in place.sent].count("shop.aadd") == 2, "what took its place was sent too"


def test_a_task_may_wait_for_tasks_that_it_sent(place: Place) -> None:
    assert asks.delay(3).get() == 3


def test_workflows_run_in_an_async_test_too() -> None:
    async def go() -> list[Any]:
        async with run_in_place(app):
            first = await chain(aadd.s(1, 2), add.s(3)).adelay()
            return [await first, await (await more.adelay(5)), await (await asks.adelay(2))]

    assert asyncio.run(go()) == [6, 16, 2]


def test_chunks_run_item_by_item(place: Place) -> None:
    assert double.chunks(range(7), 3).get() == [[0, 2, 4], [6, 8, 10], [12]]
    found = double.chunks(range(100)).get()
    assert [value for chunk in found for value in chunk] == [2 * number for number in range(100)]
    assert double.each([1, 2]).delay().get() == [2, 4]
    assert add.each([(1, 2), (3, 4)], spreads=True).delay().get() == [3, 7]


def test_captured_lists_every_step_with_the_arguments_that_it_has() -> None:
    with captured(app) as sent:
        chain(add.s(1, 2), aadd.s(3)).delay()
        chord(group(add.s(i, i) for i in range(2)), total.s()).delay()
    assert sorted(str(one) for one in sent) == [
        "shop.aadd(3) pool=asyncio",
        "shop.add(0, 0)",
        "shop.add(1, 1)",
        "shop.add(1, 2)",
        "shop.total()",
    ]
