"""A chunk's items are typed all at once, and an item that does not fit is named."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from polypool.arguments.parameters import Parameters
from polypool.core.codec import encode
from polypool.core.error import ArgumentError
from polypool.values import Values

Each = Literal["item", "tuple"]


@dataclass
class Point:
    x: int
    y: int = 0


def typed(function: Any, items: list[Any], each: Each = "item") -> list[Any]:
    return list(Parameters("t", function).decode_items(encode([[items], {}]), (), each))


def test_items_are_typed_by_the_one_parameter() -> None:
    def moves(point: Point, by: int = 1) -> None: ...
    def anything(value, other=None): ...  # type: ignore[no-untyped-def]

    assert typed(moves, [{"x": 1}, {"x": 2, "y": 3}]) == [Point(1), Point(2, 3)]
    assert typed(anything, [1, "two", [3]]) == [1, "two", [3]]
    assert typed(moves, []) == []


def test_tuples_are_typed_by_all_parameters_whatever_their_lengths() -> None:
    def moves(point: Point, by: int = 1, *more: float) -> None: ...

    assert [list(one) for one in typed(moves, [({"x": 1}, 2)], "tuple")] == [[Point(1), 2]]
    found = typed(moves, [({"x": 1},), ({"x": 2}, 3), ({"x": 4}, 5, 6, 7.5)], "tuple")
    assert found == [[Point(1)], [Point(2), 3], [Point(4), 5, 6.0, 7.5]]
    assert typed(moves, [], "tuple") == []


def test_items_for_a_parameter_that_takes_values_come_as_such() -> None:
    def totals(parts: Values[Point]) -> None: ...
    def streams(parts: Iterable[Point]) -> None: ...

    (values,) = typed(totals, [[{"x": 1}]])
    assert isinstance(values, Values) and list(values) == [Point(1)]
    assert typed(streams, [[{"x": 1}], [{"x": 2}]]) == [[Point(1)], [Point(2)]]


@pytest.mark.parametrize(
    ("items", "each", "number", "text"),
    [
        ([1, 2, "three"], "item", 2, "x: expected `int`, got `str`"),
        ([(1,), (2, "b"), ("three",)], "tuple", 2, "x: expected `int`, got `str`"),
        ([(1, "a"), (2, 3)], "tuple", 1, "y: expected `str`, got `int`"),
        ([(1, "a"), ()], "tuple", 1, "missing a required argument: 'x'"),
        ([(1, "a"), (1, "a", "b")], "tuple", 1, "too many positional arguments"),
        ([(1, "a"), 7], "tuple", 1, "expected `array`, got `int`"),
    ],
)
def test_an_item_that_does_not_fit_is_named(items: list[Any], each: Each, number: int, text: str) -> None:
    def task(x: int, y: str = "") -> None: ...

    with pytest.raises(ArgumentError, match=text) as told:
        typed(task, items, each)
    assert told.value.__notes__ == [f"polypool: this was item {number}, counted from 0"]


def test_a_list_can_come_from_another_step_and_nothing_beside_it() -> None:
    def doubles(number: int) -> None: ...

    parameters = Parameters("t", doubles)
    assert parameters.decode_items(encode([[], {}]), [encode([1, 2])], "item") == [1, 2]
    for body, before in ((encode([[[1]], {}]), [encode([1])]), (encode([[], {}]), []), (encode([[[1]], {"a": 1}]), [])):
        with pytest.raises(ArgumentError, match="a chunk has one argument, the list of its items"):
            parameters.decode_items(body, before, "item")
    with pytest.raises(ArgumentError, match="the items of a chunk are a list"):
        parameters.decode_items(encode([[7], {}]), (), "item")
