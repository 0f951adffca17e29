"""A plan with its ids, walked: the ids are those under which its steps are sent."""

import itertools
import tracemalloc
from collections import deque

import pytest

from polypool.canvas.part import Part, possible_roots, step_ids, way_to
from polypool.canvas.shape import Bulk, Chain, Chord, Group, Shape
from tests.unit.flows import call, messages


def group(*members: Shape, **more: object) -> Group:
    return Group(members, **more)  # type: ignore[arg-type]


SHAPES = {
    "a chain": Chain((call(), call(), call())),
    "a group": group(call(), call()),
    "a chord": Chord(group(call(), call()), call()),
    "a chain in a chain at its end": Chain((call(), Chain((call(), call())))),
    "a chain in a chain before its end": Chain((call(), Chain((call(), call())), call())),
    "a chord at the end of a chain": Chain((call(), Chord(group(call(), call()), Chain((call(), call()))))),
    "a group of chains": group(Chain((call(), call())), Chain((call(), call()))),
    "a group of chords": group(Chord(group(call(), call()), call()), call()),
    "groups behind each other": Chain((group(call(), call()), group(call(), call()), group(call()))),
    "callbacks": Chain((call(on_success=(call(),)), call(on_failure=(call(),))), on_success=(Chain((call(), call())),)),
    "callbacks of a member and of the group": group(call(on_failure=(call(),)), on_success=(group(call()),)),
    "a member with a name": group(call(name="a"), call(after=("a",)), Chain((call(), call()), name="c", after=("a",))),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_every_step_that_is_sent_is_found_by_walking_the_plan(shape: Shape) -> None:
    sent = {message.id for message in messages(shape)}
    walked = list(step_ids(Part("W", shape), {}))
    assert len(walked) == len(set(walked))
    assert sent <= set(walked)
    # What is walked but not sent are groups that nobody gathers.
    assert all(_is_group(shape, id) for id in set(walked) - sent)


def _is_group(shape: Shape, id: str) -> bool:
    way = way_to(Part("W", shape), id)
    return way is not None and way.step.is_group


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_there_is_a_way_to_every_step_and_it_says_which_task_that_is(shape: Shape) -> None:
    for message in messages(shape):
        way = way_to(Part("W", shape), message.id)
        assert way is not None, message.id
        assert way.step.id == message.id
        assert way.step.is_group == (message.flow is not None and message.flow.gathers)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_those_that_wait_come_before_those_that_they_wait_for(shape: Shape) -> None:
    order = {id: place for place, id in enumerate(step_ids(Part("W", shape), {}))}
    for message in messages(shape):
        for told in message.flow.then if message.flow is not None else ():
            is_beside = any("-" in id and id.rpartition("-")[0] == message.id.rpartition("-")[0] for id in told.ids())
            for id in told.ids():
                assert order[id] < order[message.id] or is_beside, (id, message.id)


@pytest.mark.parametrize("id", ["W.3", "W-2", "W!1", "W.0.0", "V", "W.x", "W-", "", "WW", "W-1x"])
def test_there_is_no_way_to_what_the_plan_does_not_have(id: str) -> None:
    assert way_to(Part("W", Chain((call(), group(call()), call()))), id) is None


def test_the_way_to_a_step_of_a_returned_workflow_ends_where_it_was_returned() -> None:
    way = way_to(Part("W", Chain((call(), call()))), "W.0~.1-3")
    assert way is not None and way.step.id == "W.0"


def test_the_largest_part_that_ends_in_a_step_is_told_from_the_step() -> None:
    way = way_to(Part("W", group(Chain((call(), call())))), "W-0")
    assert way is not None
    assert isinstance(way.part.shape, Chain) and way.step.shape == call()


def test_an_id_may_belong_to_what_remains_when_its_ends_are_cut_off() -> None:
    assert possible_roots("W.0-3~!1") == ["W.0-3~!1", "W.0-3~", "W.0-3", "W.0", "W"]
    assert possible_roots("plain") == ["plain"]
    assert len(possible_roots("-".join("x" * 500))) <= 65


def test_members_that_were_read_lazily_are_as_many_as_one_says() -> None:
    part = Part("W", Chord(Bulk("double"), call()))
    assert list(step_ids(part, {"W.0": 2})) == ["W", "W.0", "W.0-all", "W.0-0", "W.0-1"]
    assert [one.id for one in part.bulks()] == ["W.0"]
    chains = Part("W", Bulk("double", member=Chain((call(), call()))))
    assert list(step_ids(chains, {"W": 1})) == ["W", "W-all", "W-0", "W-0.0"]


def test_the_steps_of_a_million_are_walked_in_no_memory() -> None:
    part = Part("W", Chord(Bulk("double", 1_000_000), call()))
    tracemalloc.start()
    try:
        (last,) = deque(itertools.islice(step_ids(part, {}), 50_000), maxlen=1)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert last == "W.0-49996"
    assert peak < 1_000_000
