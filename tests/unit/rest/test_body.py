"""A task's parameters as JSON: what reaches the function is what was meant."""

import enum
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from polypool import Polypool, Values
from polypool.rest.body import Body
from polypool.rest.problem import Problem


class Colour(enum.Enum):
    RED = "red"


class Foreign:
    """Nothing that JSON or msgspec knows of."""


def body(function: Callable[..., Any], **options: Any) -> Body:
    return Body(Polypool("a", broker="memory://").task(**options)(function))


def read(function: Callable[..., Any], **given: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return body(function).read(msgspec.json.encode(given))


def test_values_are_typed_by_annotation() -> None:
    def f(at: datetime, key: bytes, price: Decimal, colour: Colour, counts: dict[int, str]) -> None: ...

    given = {"at": "2026-01-02T03:04:05Z", "key": "YWJj", "price": "1.10", "colour": "red", "counts": {"1": "a"}}
    _, kwargs = read(f, **given)
    assert kwargs == {
        "at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        "key": b"abc",
        "price": Decimal("1.10"),
        "colour": Colour.RED,
        "counts": {1: "a"},
    }


def test_what_has_no_type_is_taken_as_it_is() -> None:
    def f(a, b: Foreign, c: Any = None) -> None: ...  # type: ignore[no-untyped-def]

    assert read(f, a=[1], b={"x": 1}) == ((), {"a": [1], "b": {"x": 1}})


def test_a_default_of_none_may_be_given() -> None:
    def f(a: int = None) -> None: ...  # type: ignore[assignment]  # noqa: RUF013

    assert read(f, a=None) == ((), {"a": None})


def test_many_values_are_a_list() -> None:
    def f(a: Iterable[int], b: Values[int]) -> None: ...

    assert read(f, a=[1], b=[2]) == ((), {"a": [1], "b": [2]})
    with pytest.raises(Problem, match=r"a\[1\]: expected `int`"):
        read(f, a=[1, "x"], b=[])


def test_parameters_without_a_name_go_to_their_places() -> None:
    def f(a: int, b: int = 2, /, c: int = 3, *rest: int, d: int = 4, **others: int) -> None: ...

    assert read(f, a=1) == ((1,), {})
    assert read(f, a=1, c=5, d=6, e=7) == ((1,), {"c": 5, "d": 6, "e": 7})
    assert read(f, a=1, rest=[8, 9], d=6) == ((1, 2, 3, 8, 9), {"d": 6})
    with pytest.raises(Problem, match="e: expected `int`"):
        read(f, a=1, e="x")


def test_the_task_itself_is_no_parameter_of_a_bound_one() -> None:
    def f(self: Any, a: int) -> None: ...

    assert [*body(f, bind=True).fields] == ["a"]


def test_everything_that_is_wrong_is_named_at_once() -> None:
    def f(a: int, b: list[int], c: int) -> None: ...

    with pytest.raises(Problem) as refused:
        read(f, a="x", b=[1, None], d=1)
    assert refused.value.status == 422
    assert [(one.parameter, one.at) for one in refused.value.errors] == [
        ("a", "a"),
        ("b", "b[1]"),
        ("d", "d"),
        ("c", "c"),
    ]
