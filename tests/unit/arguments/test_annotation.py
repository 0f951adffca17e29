"""What an annotation says of many values: a list, whatever can be iterated, or Values."""

from collections.abc import AsyncIterable, Collection, Iterable, Sequence
from typing import Any

import pytest

from polypool.arguments.parameters import Parameters
from polypool.core.codec import decode_any, encode
from polypool.core.error import ArgumentError
from polypool.core.join import Many
from polypool.values import Values


class Frame:
    """A class that msgspec knows nothing of."""


def parameters(annotation: Any, default: Any = ...) -> Parameters:
    if default is ...:

        def task(values): ...  # type: ignore[no-untyped-def]

    else:

        def task(values=default): ...  # type: ignore[no-untyped-def, misc]

    task.__annotations__["values"] = annotation
    return Parameters("t", task)


def decoded(annotation: Any, value: Any, default: Any = ...) -> Any:
    (found,), _ = parameters(annotation, default).decode(encode([[value], {}]))
    return found


@pytest.mark.parametrize("annotation", [Iterable[float], Collection[float], Sequence[float], Iterable[float] | None])
def test_a_list_for_what_can_be_iterated_is_typed_by_its_elements(annotation: Any) -> None:
    found = decoded(annotation, [1, 2])
    assert found == [1.0, 2.0] and type(found[0]) is float
    with pytest.raises(ArgumentError, match="values\\[1\\]: expected `float`, got `str`"):
        decoded(annotation, [1, "two"])


@pytest.mark.parametrize("annotation", [Values[float], AsyncIterable[float]])
def test_a_parameter_for_values_never_gets_a_list(annotation: Any) -> None:
    found = decoded(annotation, [1, 2])
    assert isinstance(found, Values) and list(found) == [1.0, 2.0]
    assert decoded(annotation | None, None) is None
    assert decoded(annotation, None, default=None) is None
    with pytest.raises(ArgumentError, match="expected `array`"):
        decoded(annotation, 7)


def test_what_can_be_iterated_and_is_no_list_passes_as_it_is() -> None:
    assert decoded(Iterable[str], "abc") == "abc"
    assert decoded(Iterable[str], {"a": 1}) == {"a": 1}
    assert decoded(Iterable[Frame], [{"a": 1}]) == [{"a": 1}]


@pytest.mark.parametrize(
    "annotation",
    [Any, Iterable, Iterable[int], Sequence[int], Values[int], AsyncIterable[int], Iterable[int] | None, Frame],
)
def test_a_great_many_values_come_lazily_where_a_list_was_not_asked_for(annotation: Any) -> None:
    one = parameters(annotation).item_decoder(0)
    assert one is not None and one(encode(3)) == 3
    lazy = Values.read_through(None, Many("g", 5000), decode_any)  # type: ignore[arg-type]  # never read
    (found,), _ = parameters(annotation).decode_with(encode([[], {}]), [lazy], {})
    assert found is lazy
    _, kwargs = parameters(annotation).decode_with(encode([[], {}]), [], {"values": lazy})
    assert kwargs == {"values": lazy}


@pytest.mark.parametrize("annotation", [list, list[int], tuple[int, ...], set[int], frozenset[int], list[int] | None])
def test_a_list_a_tuple_or_a_set_is_whole(annotation: Any) -> None:
    assert parameters(annotation).item_decoder(0) is None
    assert parameters(annotation).item_decoder("values") is None
