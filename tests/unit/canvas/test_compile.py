"""compile: shapes as messages. Ids, edges, values by reference, and what steps inherit."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polypool.canvas.compile import Compiled, Ground, callbacks, compile, elements, first_call
from polypool.canvas.shape import Bulk, Call, Chain, Chord, Group, Shape, decode_plan
from polypool.canvas.step import GATHERER, KEPT
from polypool.core.error import ConfigurationError
from polypool.core.join import NO_PLACE, OPEN, Flow, Input, Listed, Many, Next, One
from polypool.core.message import Message, Policy
from tests.unit.canvas.woven import call, calls, calls_in, check_woven, edges, read_by, shapes

LENIENT = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def compiled(shape: Shape, id: str = "W", **more: Any) -> dict[str, Message]:
    return {message.id: message for message in compile(shape, id, Ground(100.0), **more).messages}


def flow(messages: dict[str, Message], id: str) -> Flow:
    found = messages[id].flow
    assert found is not None
    return found


@LENIENT
@given(shapes())
def test_every_step_is_sent_once_and_every_place_told_once(shape: Shape) -> None:
    messages = compile(shape, "W", Ground(100.0)).messages
    check_woven(messages)
    assert sum(message.task != GATHERER for message in messages) == calls_in(shape)


@LENIENT
@given(shapes())
def test_the_plan_stands_in_the_last_step_alone(shape: Shape) -> None:
    messages = compile(shape, "W", Ground(100.0)).messages
    plans = {message.id: message.flow.plan for message in messages if message.flow is not None and message.flow.plan}
    assert set(plans) == ({"W"} if len(messages) > 1 else set())
    assert [decode_plan(plan) for plan in plans.values()] == [shape] * len(plans)


@LENIENT
@given(shapes())
def test_what_waits_comes_before_what_runs_at_once(shape: Shape) -> None:
    waiting = [message.is_waiting for message in compile(shape, "W", Ground(100.0)).messages]
    assert waiting == sorted(waiting, reverse=True)


@LENIENT
@given(shapes())
def test_a_callback_that_is_not_needed_leaves_none_of_its_steps_behind(shape: Shape) -> None:
    messages = compiled(shape)
    for message in messages.values():
        for next in edges(message):
            if next.when != "flow":
                prefix = next.ids()[0].rpartition("!")[0]
                assert prefix == message.id or prefix.startswith(f"{message.id}!"), "told by its own step"
    told = {id for message in messages.values() for next in edges(message) if next.when != "flow" for id in next.ids()}
    assert told == {id for id in messages if "!" in id}


@LENIENT
@given(shapes(), st.data())
def test_a_workflow_sent_again_reads_old_values_and_sends_only_the_rest(shape: Shape, data: st.DataObject) -> None:
    old = {id: message for id, message in compiled(shape, "old").items() if "!" not in id}
    done: set[str] = set()
    for id in _in_order(old):
        if id != "old" and all(before in done for before in _before(old, id)) and data.draw(st.booleans()):
            done.add(id)
    reuse = {id.replace("old", "W", 1): One(id) for id in done}
    messages = compiled(shape, reuse=reuse)
    check_woven(messages.values())
    assert not set(messages) & set(reuse)
    assert all(one in messages or one in done for message in messages.values() for one in read_by(message))
    sent = {id.replace("W", "old", 1) for id in messages if "!" not in id}
    assert sent == set(old) - done


def _before(messages: dict[str, Message], id: str) -> list[str]:
    return [one for one in messages for next in edges(messages[one]) if next.when == "flow" and id in next.ids()]


def _in_order(messages: dict[str, Message]) -> list[str]:
    order: list[str] = []
    while len(order) < len(messages):
        order += [id for id in messages if id not in order and all(one in order for one in _before(messages, id))]
    return order


def test_a_single_task_is_a_plain_message() -> None:
    (message,) = compile(call("a"), "W", Ground(100.0)).messages
    assert (message.id, message.task, message.flow, message.root) == ("W", "a", None, None)


def test_a_chain_is_numbered_and_its_last_step_has_the_id() -> None:
    messages = compiled(Chain(calls("a", "b", "c")))
    assert {id: one.task for id, one in messages.items()} == {"W.0": "a", "W.1": "b", "W": "c"}
    assert flow(messages, "W.0") == Flow(then=(Next("W.1"),))
    assert flow(messages, "W.1") == Flow(1, (Next("W"),), (Input(One("W.0")),))
    assert flow(messages, "W").inputs == (Input(One("W.1")),)


def test_an_immutable_step_waits_and_takes_nothing() -> None:
    messages = compiled(Chain((call("a"), call("b", is_immutable=True))))
    assert (flow(messages, "W").waits, flow(messages, "W").inputs) == (1, ())


def test_a_group_before_a_single_step_needs_no_gatherer() -> None:
    messages = compiled(Chord(Group(calls("a", "b")), call("body")))
    assert set(messages) == {"W.0-0", "W.0-1", "W"}
    assert flow(messages, "W").inputs == (Input(Many("W.0", 2)),)
    assert flow(messages, "W.0-1").then == (Next("W", 1),)


def test_a_group_at_the_end_is_gathered() -> None:
    messages = compiled(Group(calls("a", "b")))
    assert set(messages) == {"W-0", "W-1", "W"}
    gathering = flow(messages, "W")
    assert (messages["W"].task, gathering.gathers, gathering.inputs) == (GATHERER, True, (Input(Many("W", 2)),))


def test_a_group_before_a_group_is_gathered_and_told_of_in_one_edge() -> None:
    messages = compiled(Chain((Group(calls("a", "b")), Group(calls("c", "d", "e")))))
    assert flow(messages, "W.0").then == (Next("W", count=3),)
    assert [flow(messages, f"W-{n}").inputs for n in range(3)] == [(Input(One("W.0")),)] * 3


def test_members_that_are_chains_are_told_one_by_one() -> None:
    messages = compiled(Chain((call("a"), Group((Chain(calls("b", "c")), call("d"))))))
    assert flow(messages, "W.0").then == (Next("W-0.0"), Next("W-1"))
    assert flow(messages, "W").inputs == (Input(Many("W", 2)),)


def test_a_member_that_is_a_group_is_gathered_for_the_list() -> None:
    messages = compiled(Chord(Group((Group(calls("a", "b")), call("c"))), call("body")))
    assert flow(messages, "W").inputs == (Input(Many("W.0", 2)),)
    assert flow(messages, "W.0-0").gathers


def test_a_gatherer_stands_in_the_lane_of_a_member() -> None:
    group = Group((call("a", queue="fast", pool="asyncio", priority=7), call("b")))
    gatherer = compiled(group)["W"]
    assert (gatherer.queue, gatherer.pool, gatherer.priority) == ("fast", "asyncio", 7)


def test_a_chord_without_members_gives_its_body_an_empty_list() -> None:
    (body,) = compile(Chord(Group(()), call("body")), "W", Ground(100.0)).messages
    assert body.flow is not None
    assert (body.flow.waits, body.flow.inputs) == (0, (Input(Many("W.0", 0)),))


def test_what_stands_behind_an_empty_group_waits_for_what_stands_before_it() -> None:
    messages = compiled(Chain((call("a"), Group(()), call("b"))))
    assert flow(messages, "W.0").then == (Next("W"),)
    assert (flow(messages, "W").waits, flow(messages, "W").inputs) == (1, (Input(Many("W.1", 0)),))


@pytest.mark.parametrize("shape", [Group(()), Chain((call(), Group(())))])
def test_a_workflow_that_ends_in_nothing_is_refused(shape: Shape) -> None:
    with pytest.raises(ConfigurationError, match="it ends in a group without members"):
        compile(shape, "W", Ground(100.0))


def test_callbacks_of_a_group_without_members_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="nothing they could wait for; set them on what stands behind it"):
        compile(Chain((Group((), on_success=calls("x")), call())), "W", Ground(100.0))


def test_a_chain_that_ends_in_a_chord_is_one_chain_with_it() -> None:
    shape = Chain((call("a"), Chord(Group(calls("b")), Chain(calls("c", "d")))))
    assert [getattr(one, "task", None) for one in elements(shape)] == ["a", None, "c", "d"]
    assert set(compiled(shape)) == {"W.0", "W.1-0", "W.2", "W"}


def test_members_wait_for_each_other_by_name() -> None:
    graph = Group((call("late", name="late", after=("x", "y")), call("x", name="x"), call("y", name="y")))
    messages = compiled(graph)
    assert flow(messages, "W-0").waits == 2
    assert flow(messages, "W-0").inputs == (Input(One("W-1"), "x"), Input(One("W-2"), "y"))
    assert flow(messages, "W-1").then == (Next("W-0", 0), Next("W", 1))


def test_a_chain_may_be_waited_for_by_name_and_wait() -> None:
    first = Chain(calls("a", "b"), name="first")
    messages = compiled(Group((first, Chain(calls("c", "d"), after=("first",)))))
    assert flow(messages, "W-1.0").inputs == (Input(One("W-0"), "first"),)


def test_callbacks_are_numbered_and_told_how_it_ended() -> None:
    messages = compiled(call("a", on_success=calls("s"), on_failure=calls("f")))
    assert flow(messages, "W").then == (Next("W!0", when="success"), Next("W!1", when="failure"))
    assert flow(messages, "W!0").inputs == (Input(One("W")),)
    assert flow(messages, "W!1").inputs == (Input(One("W"), is_failure=True),)


def test_later_steps_of_a_callback_are_told_when_it_is_not_needed() -> None:
    messages = compiled(call("a", on_failure=(Chain(calls("f", "g")),)))
    assert flow(messages, "W").then == (Next("W!0.0", when="failure"), Next("W!0", NO_PLACE, "failure"))


def test_callbacks_of_a_chain_and_of_its_last_step_share_its_numbers() -> None:
    shape = Chain((call("a"), call("b", on_success=calls("inner"))), on_success=calls("outer"))
    messages = compiled(shape)
    assert [one.task for _, one in callbacks(shape) if isinstance(one, Call)] == ["inner", "outer"]
    assert (messages["W!0"].task, messages["W!1"].task) == ("inner", "outer")


def test_a_header_with_callbacks_is_gathered_for_them() -> None:
    messages = compiled(Chord(Group(calls("a"), on_success=calls("s")), call("body")))
    assert flow(messages, "W.0").then == (Next("W.0!0", when="success"), Next("W"))


def test_a_step_counts_down_from_when_it_is_ready_and_the_first_from_now() -> None:
    messages = compiled(Chain((call("a", countdown=5.0), call("b", countdown=7.0), call("c", due=500.0))))
    assert (messages["W.0"].due, flow(messages, "W.0").countdown) == (105.0, 0.0)
    assert (messages["W.1"].due, flow(messages, "W.1").countdown) == (None, 7.0)
    assert messages["W"].due == 500.0


def test_steps_inherit_what_they_do_not_say() -> None:
    ground = Ground(100.0, priority=3, expires=160.0, parent="P", root="R")
    first, last = compile(Chain((call("a", priority=9, expires_in=5.0), call("b"))), "W", ground).messages[::-1]
    assert (first.priority, first.expires, last.priority, last.expires) == (9, 105.0, 3, 160.0)
    assert {(one.parent, one.root) for one in (first, last)} == {("P", "R")}


def test_a_workflow_that_nobody_sent_from_within_is_its_own_root() -> None:
    assert {one.root for one in compile(Chain(calls("a", "b")), "W", Ground(1.0)).messages} == {"W"}


def test_a_result_that_is_read_must_be_kept() -> None:
    unkept = call("a", policy=Policy(result_ttl=0))
    with pytest.raises(ConfigurationError, match="a: result_ttl=0 keeps no result, and a step of this workflow"):
        compile(Chain((unkept, call("b"))), "W", Ground(1.0))
    assert compile(Chain((unkept, call("b", is_immutable=True))), "W", Ground(1.0)).messages
    assert compile(Chain((call("b"), unkept)), "W", Ground(1.0)).messages


def test_whoever_waits_for_the_whole_is_told_by_its_last_step() -> None:
    messages = compiled(Chain(calls("a", "b")), tells=(Next("outer"),), keeps_plan=False)
    assert flow(messages, "W") == Flow(1, (Next("outer"),), (Input(One("W.0")),))


def open_one(shape: Shape) -> tuple[Compiled, dict[str, Message]]:
    found = compile(shape, "W", Ground(100.0))
    return found, {message.id: message for message in found.messages}


def test_a_body_behind_members_that_nobody_counted_waits_open() -> None:
    found, messages = open_one(Chord(Bulk("m", None, "fast"), call("body")))
    assert found.open is not None
    assert (found.open.base, found.open.join, found.open.whole) == ("W.0", "W", "W.0-all")
    assert (flow(messages, "W").waits, flow(messages, "W").inputs) == (OPEN, (Input(One("W.0-all")),))


def test_a_group_that_nobody_counted_is_gathered_open() -> None:
    found, messages = open_one(Bulk("m", None, "fast", "asyncio"))
    assert found.open is not None
    assert (found.open.base, found.open.join) == ("W", "W")
    assert (messages["W"].queue, messages["W"].pool, messages["W"].policy.result_ttl) == ("fast", "asyncio", KEPT)


def test_behind_an_uncounted_group_another_group_waits_for_its_gatherer() -> None:
    found, messages = open_one(Chain((Bulk("m"), Group(calls("a", "b")))))
    assert found.open is not None and found.open.join == "W.0"
    assert flow(messages, "W.0").then == (Next("W", count=2),)


def test_an_uncounted_group_is_reused_as_a_whole() -> None:
    messages = compiled(Chord(Bulk("m"), call("body")), reuse={"W.0": One("old.0-all")})
    assert messages["W"].flow is not None
    assert (messages["W"].flow.waits, messages["W"].flow.inputs) == (0, (Input(One("old.0-all")),))


def test_reused_members_are_listed_beside_the_new_ones() -> None:
    shape = Chord(Group(calls("a", "b", "c")), call("body"))
    messages = compiled(shape, reuse={"W.0-0": One("old.0-0"), "W.0-2": One("old.0-2")})
    assert set(messages) == {"W.0-1", "W"}
    listed = Listed((One("old.0-0"), One("W.0-1"), One("old.0-2")))
    assert (flow(messages, "W").waits, flow(messages, "W").inputs) == (1, (Input(listed),))


def test_nothing_to_send_again_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="all of it is reused"):
        compile(call(), "W", Ground(1.0), reuse={"W": One("old")})


def test_the_first_call_is_found_behind_groups_without_members() -> None:
    assert first_call(Group((Group(()), Chain(calls("a", "b"))))) == call("a")
    assert first_call(Chord(Bulk("m"), call("b"))) == Bulk("m")
    assert first_call(Group(())) is None
