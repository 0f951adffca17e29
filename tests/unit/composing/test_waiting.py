"""order_of: members that wait for each other by name, in an order in which they can run."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from polypool import ConfigurationError
from polypool.composing.waiting import Named, order_of


@st.composite
def graphs(draw: st.DrawFn) -> list[Named]:
    """Members that wait for any of them: there may be circles."""
    names = [f"n{number}" for number in range(draw(st.integers(1, 6)))]
    return [(name, tuple(draw(st.lists(st.sampled_from(names), max_size=3, unique=True)))) for name in names]


@given(graphs())
def test_everybody_comes_after_those_they_wait_for_or_a_true_circle_is_named(members: list[Named]) -> None:
    try:
        order = order_of(members)
    except ConfigurationError as error:
        way = str(error).partition("could ever run: ")[2].partition(" (")[0].split(" → ")
        waits = {str(name): after for name, after in members}
        assert len(way) > 1 and way[0] == way[-1]
        assert all(later in waits[earlier] for earlier, later in pairwise(way))
        return
    assert sorted(order) == list(range(len(members)))
    at = {members[number][0]: place for place, number in enumerate(order)}
    assert all(at[other] < at[name] for name, after in members for other in after)


def test_a_long_line_needs_no_stack() -> None:
    line: list[Named] = [(f"n{number}", (f"n{number + 1}",)) for number in range(5_000)]
    assert order_of([*line, ("n5000", ())]) == list(range(5_000, -1, -1))


def test_without_names_they_stand_as_they_are() -> None:
    assert order_of([(None, ()), (None, ())]) == [0, 1]
