"""Parameters: what does not fit fails where it is sent, and what fits arrives as it was."""

import enum
import uuid
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polypool.arguments.parameters import Parameters
from polypool.core.codec import encode
from polypool.core.error import ArgumentError, NotEncodable

if TYPE_CHECKING:
    from nowhere import Nothing  # type: ignore[import-not-found]


@dataclass
class Point:
    x: int
    y: int = 0


class Order(msgspec.Struct):
    id: uuid.UUID
    lines: list[Point]


class Colour(enum.Enum):
    RED = "red"


class SafeString(str):
    """As template engines have them."""


class Opaque:
    """A class without a MessagePack form."""


def there_and_back(function: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[list[Any], dict[str, Any]]:
    parameters = Parameters("m.f", function)
    return parameters.decode(parameters.encode(args, kwargs))


def test_plain_arguments_arrive_as_they_were_sent() -> None:
    def f(a: int, b: str, *, c: float = 1.0) -> None: ...

    assert there_and_back(f, 1, "x", c=2.5) == ([1, "x"], {"c": 2.5})
    assert there_and_back(f, 1, b="x") == ([1], {"b": "x"})


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Point, Point(1, 2)),
        (Order, Order(uuid.UUID(int=7), [Point(1)])),
        (list[Point], [Point(1), Point(2)]),
        (dict[str, Point], {"a": Point(3)}),
        (Point | None, None),
        (Point | None, Point(1)),
        (datetime, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (datetime, datetime(2026, 1, 2, 3, 4, 5)),
        (date, date(2026, 1, 2)),
        (timedelta, timedelta(minutes=5)),
        (uuid.UUID, uuid.UUID(int=7)),
        (Decimal, Decimal("1.10")),
        (Colour, Colour.RED),
        (set[int], {1, 2}),
        (frozenset[str], frozenset({"a"})),
        (tuple[int, str], (1, "a")),
        (tuple[int, ...], (1, 2, 3)),
        (bytes, b"\x00\xff"),
        (Literal["a", "b"], "a"),
        (Sequence[int], [1, 2]),
        (float, 1.5),
        (int, 2**64 - 1),
        (str, "ünï\u0000"),
    ],
    ids=str,
)
def test_an_annotated_value_arrives_as_what_it_was(annotation: Any, value: Any) -> None:
    def f(it): ...  # type: ignore[no-untyped-def]

    f.__annotations__["it"] = annotation
    (arrived,), _ = there_and_back(f, value)
    assert arrived == value
    assert type(arrived) is type(value)


def test_a_wrong_type_is_refused_by_task_and_parameter_name() -> None:
    def f(n: int, url: str) -> None: ...

    parameters = Parameters("scan.vision", f)
    with pytest.raises(ArgumentError, match=r"^scan\.vision: url: expected `str`, got `int`$"):
        parameters.encode((1, 5), {})
    with pytest.raises(ArgumentError, match=r"^scan\.vision: url: expected `str`, got `int`$"):
        parameters.encode((1,), {"url": 5})


def test_the_error_leads_to_the_place_inside_the_argument() -> None:
    def f(points: list[Point]) -> None: ...

    with pytest.raises(ArgumentError, match=r"points\[\.\.\.\]\.y: expected `int`, got `str`|points\[1\]\.y"):
        Parameters("m.f", f).encode(([Point(1), {"x": 1, "y": "no"}],), {})


@pytest.mark.parametrize(
    ("args", "kwargs", "complaint"),
    [
        ((), {}, "missing a required argument: 'a'"),
        ((1, 2, 3), {}, "too many positional arguments"),
        ((1,), {"z": 1}, "unexpected keyword argument 'z'"),
        ((1,), {"a": 1}, "multiple values for argument 'a'"),
    ],
)
def test_missing_and_unexpected_arguments_are_refused(args: Any, kwargs: Any, complaint: str) -> None:
    def f(a: int, b: int = 0) -> None: ...

    with pytest.raises(ArgumentError, match=rf"m\.f: .*{complaint}.*it takes \(a: int, b: int = 0\)"):
        Parameters("m.f", f).encode(args, kwargs)


def test_a_missing_keyword_only_argument_is_refused() -> None:
    def f(a: int, *, key: str) -> None: ...

    with pytest.raises(ArgumentError, match="key"):
        Parameters("m.f", f).encode((1,), {})


def test_surplus_arguments_are_typed_by_the_starred_parameter() -> None:
    def f(first: str, *rest: Point, **named: Colour) -> None: ...

    got = there_and_back(f, "a", Point(1), Point(2), tint=Colour.RED)
    assert got == (["a", Point(1), Point(2)], {"tint": Colour.RED})
    with pytest.raises(ArgumentError, match="rest"):
        Parameters("m.f", f).encode(("a", 5), {})


def test_a_value_without_a_form_is_refused_by_name_with_what_to_send_instead() -> None:
    def f(a: Any, b: Any = None) -> None: ...

    with pytest.raises(NotEncodable, match=r"m\.f: b: a value of type Opaque .*dataclasses or msgspec Structs"):
        Parameters("m.f", f).encode((1,), {"b": Opaque()})
    with pytest.raises(NotEncodable, match=r"m\.f: a: a value of type list"):
        Parameters("m.f", f).encode(([Opaque()],), {})


@pytest.mark.parametrize("value", [2**64, "\ud800", 1j], ids=repr)
def test_values_that_messagepack_cannot_hold_are_refused(value: Any) -> None:
    def f(a: Any) -> None: ...

    with pytest.raises(NotEncodable, match=r"m\.f: a: "):
        Parameters("m.f", f).encode((value,), {})


def test_endless_values_are_refused_and_do_not_overflow() -> None:
    endless: list[Any] = []
    endless.append(endless)

    def f(a: Any) -> None: ...

    with pytest.raises(NotEncodable, match=r"m\.f: a: "):
        Parameters("m.f", f).encode((endless,), {})


def test_subclasses_of_plain_values_count_as_those_values() -> None:
    def f(a: str, b: Any) -> None: ...

    class Metres(float): ...

    assert there_and_back(f, SafeString("x"), Metres(1.5)) == (["x", 1.5], {})


def test_annotations_that_cannot_be_built_leave_plain_values() -> None:
    def f(a: Opaque, b: "Nothing", c: Callable[[], int], d: list[Opaque]) -> None: ...

    assert there_and_back(f, 1, {"k": 2}, "c", [3]) == ([1, {"k": 2}, "c", [3]], {})


def test_one_unknown_name_leaves_the_other_annotations_in_force() -> None:
    def f(a: "Nothing", b: Annotated[int, msgspec.Meta(ge=1)]) -> None: ...

    parameters = Parameters("m.f", f)
    assert parameters.decode(parameters.encode((2, 2), {})) == ([2, 2], {})
    with pytest.raises(ArgumentError, match=r"m\.f: b: expected `int`"):
        parameters.encode((1, 0), {})


def test_a_default_of_none_allows_none() -> None:
    def f(a: int = None) -> None: ...  # type: ignore[assignment]  # noqa: RUF013 - as people write it

    assert there_and_back(f, None) == ([None], {})


def test_a_class_defined_after_the_task_is_found_at_the_first_send() -> None:
    def f(it: "DefinedBelow") -> None: ...

    (arrived,), _ = there_and_back(f, DefinedBelow(1))
    assert arrived == DefinedBelow(1)


def test_arguments_of_another_release_that_do_not_fit_are_refused_when_read() -> None:
    def f(a: int) -> None: ...

    parameters = Parameters("m.f", f)
    for body, complaint in [
        (encode([["x"], {}]), "a: expected `int`"),
        (encode([[1, 2], {}]), "too many positional"),
        (encode([[1], {"new": 1}]), "unexpected keyword argument 'new'"),
        (encode("nonsense"), "cannot be read"),
        (b"", "cannot be read"),
        (b"\xc1\xff", "cannot be read"),
    ]:
        with pytest.raises(ArgumentError, match=complaint):
            parameters.decode(body)


def test_a_bound_tasks_own_argument_is_no_part_of_the_message() -> None:
    def f(self: Any, a: int) -> None: ...

    parameters = Parameters("m.f", f, skip=1)
    assert parameters.decode(parameters.encode((1,), {})) == ([1], {})
    with pytest.raises(ArgumentError, match="too many"):
        parameters.encode((1, 2), {})


def test_a_result_is_typed_by_the_return_annotation_and_plain_where_it_does_not_fit() -> None:
    def f() -> Point: ...

    parameters = Parameters("m.f", f)
    assert parameters.decode_result(encode(Point(1, 2))) == Point(1, 2)
    assert parameters.decode_result(encode("other")) == "other"


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(args=st.lists(plain), kwargs=st.dictionaries(st.text(min_size=1), plain))
def test_whatever_messagepack_holds_comes_back_unchanged(args: list[Any], kwargs: dict[str, Any]) -> None:
    def f(*args, **kwargs): ...  # type: ignore[no-untyped-def]

    assert there_and_back(f, *args, **kwargs) == (args, kwargs)


@dataclass
class DefinedBelow:
    x: int


def test_what_a_generator_returns_is_typed_by_the_last_part_of_its_annotation() -> None:
    def typed(n: int) -> Generator[str, None, Point]:
        yield ""
        return Point(1, 2)

    def bare(n: int) -> Iterator[str]:
        yield ""

    assert Parameters("t", typed).decode_result(encode(Point(1, 2))) == Point(1, 2)
    assert Parameters("t", bare).decode_result(encode(None)) is None
