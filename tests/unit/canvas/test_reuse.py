"""What a retry takes over: everything that succeeded, and nothing that has to run again for what failed."""

from polypool.canvas.compile import Ground, compile
from polypool.canvas.part import Part
from polypool.canvas.reuse import Reuse, taken_over
from polypool.canvas.shape import Bulk, Chain, Chord, Group, Shape
from polypool.core.join import One
from polypool.core.lifecycle import State
from tests.unit.flows import call, messages


def reuse(shape: Shape, failed: str, gone: str = "", where: dict[str, str] | None = None) -> Reuse:
    """For a workflow `W` that is sent again as `N`, of which these steps did not succeed, or are not known any more;
    their ends alone, and blanks between."""
    bad = {f"W{end.strip('=')}" for end in failed.split()}
    lost = {f"W{end.strip('=')}" for end in gone.split()}
    known = {message.id for message in messages(shape)} - lost
    states = {id: State.FAILED if id in bad else State.SUCCEEDED for id in known}
    return taken_over(Part("W", shape), "N", states, where or {})


def runs(shape: Shape, found: Reuse) -> set[str]:
    return {message.id for message in compile(shape, "N", Ground(0.0), reuse=found.refs).messages}


def test_of_a_chain_the_failed_step_runs_and_those_behind_it() -> None:
    shape = Chain((call(), call(), call(), call()))
    found = reuse(shape, ".2 =")
    assert found == Reuse({"N.0": One("W.0"), "N.1": One("W.1")}, 2, 0)
    assert runs(shape, found) == {"N.2", "N"}


def test_of_a_group_the_failed_members_run() -> None:
    shape = Chord(Group(tuple(call() for _ in range(4))), call())
    found = reuse(shape, ".0-2 =")
    assert runs(shape, found) == {"N.0-2", "N"}
    assert found.steps == 3


def test_a_member_that_is_a_chain_goes_on_where_it_failed() -> None:
    shape = Group((Chain((call(), call(), call())), Chain((call(), call()))))
    found = reuse(shape, "-0.1 -0 =")
    assert runs(shape, found) == {"N-0.1", "N-0", "N"}
    assert found.refs == {"N-0.0": One("W-0.0"), "N-1": One("W-1")}
    assert found.steps == 3


def test_what_is_not_known_any_more_runs_again_where_it_is_needed() -> None:
    shape = Chain((call(), call(), call()))
    found = reuse(shape, "=", gone=".1")
    assert runs(shape, found) == {"N.1", "N"}
    assert found.gone == 1


def test_what_is_not_known_any_more_is_left_alone_where_nobody_needs_it() -> None:
    shape = Chain((call(), Group((call(), call())), call(), call()))
    found = reuse(shape, "=", gone=".0 .1 .1-0")
    assert runs(shape, found) == {"N"}
    assert found.gone == 0


def test_what_was_taken_over_before_is_taken_from_where_it_is() -> None:
    found = reuse(Chain((call(), call(), call())), "=", where={"W.0": "V.0", "W.1": "U.1"})
    assert found.refs == {"N.0": One("V.0"), "N.1": One("U.1")}


def test_members_that_wait_for_each_other_go_on_where_they_failed() -> None:
    shape = Group((call(name="a"), call(name="b", after=("a",)), call(name="c", after=("b",))))
    found = reuse(shape, "-1 -2 =")
    assert runs(shape, found) == {"N-1", "N-2", "N"}


def test_of_a_group_that_was_read_lazily_all_or_nothing_is_taken_over() -> None:
    shape = Chord(Bulk("double"), call())
    states = {"W": State.FAILED, "W.0-all": State.SUCCEEDED}
    assert taken_over(Part("W", shape), "N", states, {}).refs == {"N.0": One("W.0-all")}
    states["W.0-all"] = State.FAILED
    assert taken_over(Part("W", shape), "N", states, {}).refs == {}


def test_a_nested_chord_that_succeeded_is_one_value() -> None:
    inner = Chord(Group((call(), call())), Chain((call(), call())))
    shape = Chain((inner, call(), call()))
    found = reuse(shape, ".1 =")
    assert found.refs == {"N.0": One("W.0")}
    assert found.steps == 4
    assert runs(shape, found) == {"N.1", "N"}
