"""Chunks: many items a message, checked one by one, of a size that is given or found."""

from collections.abc import AsyncIterator, Iterator
from itertools import chain
from typing import Any

import pytest

from polypool import ArgumentError, ConfigurationError, MessageTooLarge, NotEncodable, Polypool
from polypool.canvas.pace import FEWEST_AHEAD, GROWTH, MODEST
from polypool.core.codec import decode_any
from polypool.core.message import Message
from polypool.core.running import running
from polypool.testing import captured
from tests.unit.by_workers import CountingEngine, workers


@pytest.fixture
def engine() -> CountingEngine:
    return CountingEngine()


@pytest.fixture
def app(engine: CountingEngine) -> Iterator[Polypool]:
    app = Polypool("unit", broker=engine)

    @app.task(name="double", queue="fast", timeout=9)
    def double(n: int) -> int:
        return 2 * n

    @app.task(name="add")
    def add(x: int, y: int = 0) -> int:
        return x + y

    @app.task(name="take")
    def take(thing) -> None:  # type: ignore[no-untyped-def]  # any value
        """Takes whatever there is."""

    yield app
    app.close()


def double(n: int) -> int:
    return 2 * n


def items_of(message: Message) -> list[Any]:
    args, kwargs = decode_any(message.args)
    assert kwargs == {}
    (items,) = args
    return list(items)


def sizes(engine: CountingEngine) -> list[int]:
    return [len(items_of(message)) for message in engine.messages]


def test_one_message_holds_n_items_and_the_last_what_is_left(engine: CountingEngine, app: Polypool) -> None:
    group = app.tasks["double"].chunks(iter(range(10)), 4)
    assert [items_of(message) for message in engine.messages] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert [message.id for message in engine.messages] == [f"{group.id}-{n}" for n in range(3)]
    assert {(message.each, message.queue, message.policy.timeout) for message in engine.messages} == {
        ("item", "fast", 9.0)
    }
    assert len(group) == 3


def test_its_values_are_lists_in_order(engine: CountingEngine, app: Polypool) -> None:
    with workers(engine, double):
        group = app.tasks["double"].chunks(range(1000), 30)
        assert group.get(timeout=60)[1] == [2 * n for n in range(30, 60)]
        assert list(chain.from_iterable(group)) == [2 * n for n in range(1000)]


def test_starchunks_spreads_tuples(engine: CountingEngine, app: Polypool) -> None:
    group = app.tasks["add"].starchunks(((n, n) for n in range(5)), 2, queue="default", priority=3)
    assert [items_of(message) for message in engine.messages] == [[[0, 0], [1, 1]], [[2, 2], [3, 3]], [[4, 4]]]
    assert {(message.each, message.queue, message.priority) for message in engine.messages} == {("tuple", "default", 3)}
    with workers(engine, lambda x, y: x + y):
        assert group.get(timeout=60) == [[0, 2], [4, 6], [8]]


async def test_the_awaited_twins_take_async_iterables(engine: CountingEngine, app: Polypool) -> None:
    async def numbers() -> AsyncIterator[int]:
        for n in range(10):
            yield n

    group = await app.tasks["double"].achunks(numbers(), 4)
    pairs = await app.tasks["add"].astarchunks([(1, 2), (3, 4)], 2)
    with workers(engine, lambda *numbers: sum(numbers)):
        assert await group == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
        assert await pairs == [[3, 7]]


def test_no_items_make_no_chunk(engine: CountingEngine, app: Polypool) -> None:
    assert len(app.tasks["double"].chunks([], 4)) == len(app.tasks["double"].chunks([])) == 0
    assert app.tasks["double"].chunks([]).get() == []


def test_chunks_sent_again_under_their_own_id_are_sent_once(engine: CountingEngine, app: Polypool) -> None:
    for _ in range(2):
        app.tasks["double"].chunks(range(10), 4, task_id="import")
    with workers(engine, double):
        assert app.group_result("import", 3).get(timeout=60) == [[0, 2, 4, 6], [8, 10, 12, 14], [16, 18]]
    with pytest.raises(ConfigurationError, match="cut otherwise the second time; give their size"):
        app.tasks["double"].chunks(range(10), task_id="import")


def test_max_pending_counts_chunks(engine: CountingEngine, app: Polypool) -> None:
    with workers(engine, double):
        assert len(app.tasks["double"].chunks(range(1000), 10, max_pending=6).get(timeout=60)) == 100
        app.tasks["double"].chunks(range(1000), max_pending=3).get(timeout=60)
    assert engine.most_unended <= 6


@pytest.mark.parametrize("n", [0, -3, True, 2.0, "10", [1, 2]])
def test_a_size_that_is_none_is_refused(engine: CountingEngine, app: Polypool, n: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"double: n=.* must be a whole number of items a chunk, at least 1"):
        app.tasks["double"].chunks(range(10), n)
    assert engine.messages == []


@pytest.mark.parametrize("items", ["123", b"123", {1: 2}, 5, None])
def test_what_is_no_collection_of_items_is_refused(app: Polypool, items: Any) -> None:
    with pytest.raises(TypeError, match="is no collection of items"):
        app.tasks["double"].chunks(items, 2)


def test_async_iterables_belong_to_the_twin(app: Polypool) -> None:
    async def numbers() -> AsyncIterator[int]:
        yield 1

    with pytest.raises(TypeError, match="as `achunks`"):
        app.tasks["double"].chunks(numbers(), 2)  # type: ignore[arg-type]  # what it refuses


@pytest.mark.parametrize("n", [4, None])
def test_the_first_item_that_does_not_fit_is_named(engine: CountingEngine, app: Polypool, n: int | None) -> None:
    items: list[Any] = [*range(9), "nine", "ten"]
    with workers(engine, double), pytest.raises(ArgumentError, match="double: n: expected `int`, got `str`") as caught:
        app.tasks["double"].chunks(items, n)
    assert "item 9, counted from 0" in caught.value.__notes__[0]
    assert "items were sent before this" in caught.value.__notes__[1]


def test_items_are_checked_as_delay_checks_arguments(app: Polypool) -> None:
    with pytest.raises(NotEncodable, match=r"take: thing: a value of type object") as caught:
        app.tasks["take"].chunks([1, object()], 2)
    assert "item 1," in caught.value.__notes__[0]
    with pytest.raises(ArgumentError, match="too many positional arguments") as wrong:
        app.tasks["add"].starchunks([(1, 2), (1, 2, 3)], 2)
    assert "item 1," in wrong.value.__notes__[0]
    with pytest.raises(ArgumentError, match="is no tuple of arguments; say chunks") as single:
        app.tasks["add"].starchunks([(1, 2), 3], 2)  # type: ignore[list-item]  # what it refuses
    assert "item 1," in single.value.__notes__[0]
    with pytest.raises(ArgumentError, match="missing a required argument"):
        app.tasks["add"].starchunks([()], 2)


def test_a_chunk_that_is_too_large_is_refused_where_n_is_given(app: Polypool) -> None:
    with pytest.raises(MessageTooLarge, match="smaller chunks"):
        app.tasks["take"].chunks([b"x" * 9_000_000] * 2, 2)


def test_without_n_it_is_cut_smaller(engine: CountingEngine, app: Polypool) -> None:
    """Small items taught large chunks; large ones that follow must not make a message nobody takes."""
    things = [b""] * 3000 + [b"x" * 6_000_000] * 6
    with workers(engine, lambda thing: None, at_once=1):
        group = app.tasks["take"].chunks(iter(things))
        assert sum(len(values) for values in group.get(timeout=60)) == len(things)
    with pytest.raises(MessageTooLarge):
        app.tasks["take"].chunks([b"x" * 17_000_000])


def test_without_n_sizes_grow_from_one_to_half_a_second(engine: CountingEngine, app: Polypool) -> None:
    with workers(engine, double, wall_of=lambda items: items * 1e-3):
        group = app.tasks["double"].chunks(iter(range(20_000)))
        assert list(chain.from_iterable(group)) == [2 * n for n in range(20_000)]
    found = sizes(engine)
    assert found[0] == 1
    assert all(size <= GROWTH * max(found[:number]) for number, size in enumerate(found) if number)
    assert max(found) == pytest.approx(500, rel=0.1)


async def test_without_n_the_awaited_twin_finds_it_too(engine: CountingEngine, app: Polypool) -> None:
    async def numbers() -> AsyncIterator[int]:
        for n in range(20_000):
            yield n

    with workers(engine, double, wall_of=lambda items: items * 1e-3):
        await app.tasks["double"].achunks(numbers())
    assert max(sizes(engine)) == pytest.approx(500, rel=0.1)


def test_without_n_it_stays_near_the_workers(engine: CountingEngine, app: Polypool) -> None:
    with workers(engine, double, at_once=2, wall_of=lambda items: items * 1e-3):
        app.tasks["double"].chunks(range(60_000))
    assert engine.most_unended < 60
    assert sizes(engine)[-1] < 250


def test_without_a_worker_chunks_of_a_modest_size_are_sent(engine: CountingEngine, app: Polypool) -> None:
    group = app.tasks["double"].chunks(range(1000))
    found = sizes(engine)
    assert set(found[:FEWEST_AHEAD]) == {1}
    assert set(found[FEWEST_AHEAD + 2 : -1]) == {MODEST}
    assert sum(found) == 1000
    with workers(engine, double):
        assert list(chain.from_iterable(group)) == [2 * n for n in range(1000)]


def test_a_task_that_sends_chunks_waits_for_none(engine: CountingEngine, app: Polypool) -> None:
    class Sender:
        message = Message("parent", "x", b"")

    token = running.set(Sender())  # type: ignore[arg-type]  # as far as sending looks
    try:
        app.tasks["double"].chunks(range(300))
    finally:
        running.reset(token)
    assert sum(sizes(engine)) == 300
    assert {message.parent for message in engine.messages} == {"parent"}


def test_captured_chunks_can_be_looked_at(app: Polypool) -> None:
    with captured(app) as sent:
        app.tasks["double"].chunks(range(5), 2)
        app.tasks["double"].chunks(range(100))
    assert [one.message.each for one in sent if one.message is not None] == ["item"] * len(sent)


def test_chunks_that_fail_are_members_that_failed(engine: CountingEngine, app: Polypool) -> None:
    def fails(n: int) -> int:
        raise ValueError(n)

    with workers(engine, fails):
        group = app.tasks["double"].chunks(range(2000))
        assert {type(value).__name__ for value in group.get(timeout=60, raise_errors=False)} == {"TaskFailed"}
    assert MODEST in sizes(engine)


def test_a_slow_source_is_not_waited_for_until_a_chunk_is_full(
    engine: CountingEngine, app: Polypool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("polypool.sending.chunking.READS_FOR_S", 0.0)
    with workers(engine, double, wall_of=lambda items: items * 1e-6):
        group = app.tasks["double"].chunks(iter(range(300)))
        assert list(chain.from_iterable(group)) == [2 * n for n in range(300)]
    assert max(sizes(engine)) == 1
