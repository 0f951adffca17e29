"""Values are a sequence of which only a few pages are in memory, read in the colour of whoever goes through them."""

import asyncio
from typing import Any

import pytest

from polypool.core.ask import Ask, Read
from polypool.core.codec import decode_any, encode
from polypool.core.error import EngineUnreachable, InputMissing
from polypool.core.event import Record
from polypool.core.gather import WINDOW
from polypool.core.join import Listed, Many, One
from polypool.core.lifecycle import State
from polypool.native import Answer
from polypool.values import KEPT, Values


class Line:
    """An engine that answers at once, and remembers what it was asked."""

    def __init__(self, *gone: str) -> None:
        self.gone = gone
        self.asked: list[list[str]] = []
        self.fails = 0

    def ask(self, ask: Ask) -> Answer:
        assert isinstance(ask, Read)
        self.asked.append(ask.ids)
        answer = Answer()
        if self.fails:
            self.fails -= 1
            answer.set(error=EngineUnreachable("away"))
        else:
            answer.set([self._record(id) for id in ask.ids])
        return answer

    def _record(self, id: str) -> Record | None:
        if id in self.gone:
            return None
        return Record(id, State.SUCCEEDED, "t", value=encode(int(id.rpartition("-")[2])))


def stored(count: int, line: Line | None = None) -> Values[int]:
    return Values.read_through(line or Line(), Many("g", count), decode_any)


@pytest.mark.parametrize("made", [lambda: stored(2345), lambda: Values(range(2345))], ids=["stored", "in memory"])
def test_values_are_a_sequence_like_any_other(made: Any) -> None:
    values, same = made(), range(2345)
    assert len(values) == 2345
    assert list(values) == list(same)
    assert (values[0], values[1234], values[-1]) == (0, 1234, 2344)
    for part in (slice(10), slice(990, 1010), slice(None, None, 7), slice(None, None, -1), slice(2000, 5, -333)):
        assert list(values[part]) == list(same[part]), part
    assert list(values[100:2000][::100][3:]) == list(same[100:2000][::100][3:])
    assert list(reversed(values)) == list(reversed(same))
    assert 1999 in values and -1 not in values
    assert values.index(1500) == 1500
    with pytest.raises(IndexError):
        values[2345]


@pytest.mark.parametrize("made", [lambda: stored(2345), lambda: Values(range(2345))], ids=["stored", "in memory"])
def test_they_can_be_gone_through_in_an_async_def(made: Any) -> None:
    async def go() -> list[int]:
        values = made()
        assert await values.aget(1234) == 1234
        assert await values.aget(-1) == 2344
        assert [value async for value in values[2000:5:-333]] == list(range(2345)[2000:5:-333])
        return [value async for value in values]

    assert asyncio.run(go()) == list(range(2345))


def test_each_page_is_asked_for_once_and_before_it_is_needed() -> None:
    line = Line()
    values = iter(stored(3 * WINDOW, line))
    next(values)
    assert [ids[0] for ids in line.asked] == ["g-0", "g-1000"], "the next one is on its way"
    list(values)
    assert [(ids[0], len(ids)) for ids in line.asked] == [("g-0", 1000), ("g-1000", 1000), ("g-2000", 1000)]


def test_only_a_few_pages_stay_in_memory() -> None:
    line = Line()
    values = stored(20 * WINDOW, line)
    for _ in values:
        assert len(values._source._pages) <= KEPT  # type: ignore[attr-defined]
    asked = len(line.asked)
    assert values[-1] == 20 * WINDOW - 1 and len(line.asked) == asked, "the last ones are still there"
    assert values[0] == 0 and len(line.asked) > asked, "the first ones no longer"


def test_a_slice_reads_nothing_until_it_is_used() -> None:
    line = Line()
    part = stored(5 * WINDOW, line)[2 * WINDOW :]
    assert len(part) == 3 * WINDOW and line.asked == []


def test_a_plain_loop_inside_an_event_loop_says_what_to_write_instead() -> None:
    async def loop() -> None:
        for _ in stored(1500):
            pass

    async def index() -> int:
        return stored(1500)[3]

    with pytest.raises(RuntimeError, match="async for value in values"):
        asyncio.run(loop())
    with pytest.raises(RuntimeError, match=r"await values\.aget\(index\)"):
        asyncio.run(index())


def test_a_result_that_is_no_longer_kept_is_named_where_it_is_met() -> None:
    values = iter(stored(1500, Line("g-1200")))
    assert [next(values) for _ in range(WINDOW)] == list(range(WINDOW))
    with pytest.raises(InputMissing, match="step g-1200"):
        next(values)


def test_an_engine_that_is_away_for_a_moment_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("polypool.values._FIRST_PAUSE", 0.001)
    line = Line()
    line.fails = 3
    assert list(stored(1500, line)) == list(range(1500))

    async def go() -> list[int]:
        line.fails = 3
        return [value async for value in stored(1500, line)]

    assert asyncio.run(go()) == list(range(1500))


def test_an_engine_that_stays_away_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("polypool.values.PATIENCE", 0.0)
    line = Line()
    line.fails = 10
    with pytest.raises(EngineUnreachable):
        list(stored(1500, line))


def test_references_of_every_kind_can_stand_in_a_list() -> None:
    refs = [One("a-1"), Many("b", 2), Listed((One("c-3"), One("d-4"))), Listed(()), Many("e", 0)]
    values: Values[Any] = Values.read_through(Line(), Listed(tuple(refs * 300)), decode_any)
    assert list(values) == [1, [0, 1], [3, 4], [], []] * 300


def test_a_list_of_nothing_but_empty_groups_asks_for_nothing() -> None:
    line = Line()
    values: Values[Any] = Values.read_through(line, Listed((Many("e", 0),) * 1500), decode_any)
    assert list(values) == [[]] * 1500 and line.asked == []
