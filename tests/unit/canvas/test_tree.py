"""A workflow's plan and records as a tree: states, times, and where the time went."""

from typing import Any

from polypool.canvas.node import Fold, Node, Tree
from polypool.canvas.part import Part
from polypool.canvas.shape import Bulk, Chain, Chord, Group, Shape
from polypool.canvas.tree import Known, Times, tree
from polypool.core.event import Record
from polypool.core.lifecycle import State
from polypool.core.outcome import Failure, Origin, Usage
from polypool.core.report import TaskView
from tests.unit.flows import call

SENT = 1_000.0


def ran(id: str, start: float, end: float, state: State = State.SUCCEEDED, **more: Any) -> Known:
    return Known(Record(id, state, "double", ended_at=SENT + end, usage=Usage(SENT + start, end - start), **more))


def stands(id: str, state: State) -> Known:
    return Known(Record(id, state, "double"))


def failed(id: str, start: float, end: float) -> Known:
    return ran(id, start, end, State.FAILED, failure=Failure("builtins.ValueError", "boom\nat length"))


def not_run(id: str, end: float, because: str) -> Known:
    failure = Failure("builtins.ValueError", "boom", origin=Origin(because, "double"))
    return Known(Record(id, State.FAILED, "double", ended_at=SENT + end, failure=failure))


def look(shape: Shape, *known: Known, now: float = 100.0, folds: dict[str, Fold] | None = None) -> Tree:
    found = {one.record.id: one for one in known if one.record is not None}
    taken = {one.record.id.replace("V", "W"): one for one in known if one.record is not None and one.taken_from}
    return tree("W", Part("W", shape), {**found, **taken}, folds or {}, Times(SENT, SENT + now))


def child(node: Node, id: str) -> Node:
    return next(one for one in node.children if one.id == id)


def test_a_step_is_ready_when_the_one_before_it_has_ended() -> None:
    seen = look(Chain((call(), call())), ran("W.0", 1, 3), ran("W", 7, 12))
    first, last = seen.root.children
    assert (first.ready, first.queued, first.running) == (SENT, 1, 2)
    assert (last.ready, last.queued, last.running, last.ended) == (SENT + 3, 4, 5, SENT + 12)
    assert (seen.root.state, seen.root.queued, seen.root.running, seen.root.work) == ("succeeded", 5, 7, 7)
    assert (seen.queued, seen.running, seen.total, seen.path) == (5, 7, 12, ("W.0", "W"))


def test_the_longest_way_goes_through_the_member_that_ended_last() -> None:
    shape = Chord(Group((call(), call(), call())), call())
    seen = look(shape, ran("W.0-0", 0, 9), ran("W.0-1", 6, 10), ran("W.0-2", 1, 2), ran("W", 11, 12))
    assert seen.path == ("W.0-1", "W")
    assert (seen.queued, seen.running) == (7, 5)
    header = child(seen.root, "W.0")
    assert (header.state, header.count, header.counts, header.work) == ("succeeded", 3, {"succeeded": 3}, 14)
    assert header.ended == SENT + 10


def test_waiting_for_its_time_is_not_being_queued() -> None:
    seen = look(Chain((call(), call(countdown=5.0))), ran("W.0", 0, 1), ran("W", 6.5, 8))
    assert seen.root.children[1].queued == 0.5
    assert (seen.queued, seen.running, seen.waiting) == (0.5, 2.5, 5)
    late = look(call(due=SENT + 30), ran("W", 31, 32))
    assert (late.queued, late.waiting) == (1, 30)


def test_a_failure_stands_where_it_was_and_names_what_was_not_run_because_of_it() -> None:
    shape = Chain((Group((call(), call())), call()))
    seen = look(shape, failed("W.0-1", 0, 4), ran("W.0-0", 0, 9), not_run("W", 5, "W.0-1"))
    group, last = seen.root.children
    assert group.state == "failed"
    assert child(group, "W.0-1").error == "ValueError: boom"
    assert (last.error, last.because) == (None, "W.0-1")
    assert (seen.root.state, seen.root.because) == ("failed", "W.0-1")
    assert seen.path == ("W.0-1", "W"), "it was the failed one that made an end of it"


def test_a_failure_of_ours_is_named_shortly_and_a_cancelled_step_has_none() -> None:
    ours = ran("W-0", 0, 1, State.FAILED, failure=Failure("polypool.core.error.TimeLimitExceeded", "too long"))
    ended = ran("W-1", 0, 1, State.CANCELLED, failure=Failure("polypool.core.error.TaskCancelled", "cancelled"))
    seen = look(Group((call(), call())), ours, ended)
    assert [one.error for one in seen.root.children] == ["TimeLimitExceeded: too long", None]


def test_what_goes_on_tells_since_when_it_is_queued() -> None:
    seen = look(Chain((call(), call(), call())), ran("W.0", 0, 5), stands("W.1", State.QUEUED), now=8)
    assert [one.state for one in seen.root.children] == ["succeeded", "queued", "unknown"]
    assert seen.root.state == "queued"
    assert (seen.root.children[1].queued, seen.total) == (3, 8)
    running = look(Group((call(), call())), ran("W-0", 0, 5), stands("W-1", State.RUNNING))
    assert (running.root.state, running.path) == ("running", ("W-1",))


def test_nothing_is_known_of_when_a_step_was_ready_whose_predecessor_goes_on() -> None:
    seen = look(Chain((call(), call())), stands("W.0", State.RUNNING), stands("W", State.SCHEDULED))
    assert (seen.root.children[1].ready, seen.root.children[1].queued) == (None, None)


def test_a_member_that_waits_for_others_is_ready_when_the_last_of_them_has_ended() -> None:
    shape = Group((call(after=("a", "b")), call(name="a"), call(name="b", after=("a",)), call(name="c")))
    seen = look(shape, ran("W-0", 9, 12), ran("W-1", 0, 2), ran("W-2", 3, 8), ran("W-3", 0, 11))
    first, _, second, other = seen.root.children
    assert (second.ready, first.ready, first.queued, other.ready) == (SENT + 2, SENT + 8, 1, SENT)
    assert seen.path == ("W-1", "W-2", "W-0")
    assert (second.name, seen.queued, seen.running) == ("b", 2, 10)


def test_the_workflow_that_a_run_returned_hangs_from_its_step() -> None:
    view = TaskView("W.0~", "double", State.SUCCEEDED, "default", "threads", 0, 1, SENT + 3)
    inner = Part("W.0~", Chain((call(), call())))
    seen = look(
        Chain((call(), call())),
        Known(Record("W.0", State.SUCCEEDED, "double", ended_at=SENT + 9), returned=inner),
        ran("W.0~.0", 4, 5),
        Known(ran("W.0~", 6, 8).record, view),
        ran("W", 9, 10),
    )
    first = seen.root.children[0]
    (returned,) = first.children
    assert (returned.role, returned.id, returned.ready) == ("returned", "W.0~", SENT + 3)
    assert [one.queued for one in returned.children] == [1, 1]
    assert seen.path == ("W.0", "W.0~.0", "W.0~", "W")
    assert first.work == 3


def test_callbacks_that_were_not_needed_are_left_out_and_are_on_no_way() -> None:
    shape = Chain((call(), call()), on_success=(call(),), on_failure=(call(),))
    seen = look(shape, ran("W.0", 0, 1), ran("W", 1, 2), ran("W!0", 3, 9))
    callback = seen.root.children[-1]
    assert (callback.id, callback.role, callback.ready, callback.queued) == ("W!0", "success", SENT + 2, 1)
    assert [one.id for one in seen.root.children] == ["W.0", "W", "W!0"]
    assert (seen.path, seen.root.ended, seen.total) == (("W.0", "W"), SENT + 2, 2)


def test_what_was_taken_over_took_no_time() -> None:
    taken = Known(Record("V.0", State.SUCCEEDED, "double", ended_at=SENT - 50), taken_from="V.0")
    seen = look(Chain((call(), call())), ran("W", 2, 3), taken)
    first, last = seen.root.children
    assert (first.state, first.taken_from, first.running, first.ended) == ("succeeded", "V.0", None, None)
    assert (last.ready, last.queued, seen.path) == (SENT, 2, ("W",))


def test_a_large_group_is_told_by_numbers_and_by_the_members_that_stand_out() -> None:
    fold = Fold()
    for index in range(100_000):
        state = State.FAILED if index in (500, 700) else State.SUCCEEDED
        fold.add(index, state, 9.0 if index == 77 else 1.0, SENT + index, failed_itself=state is State.FAILED)
    assert fold.picks() == {77: ("the slowest",), 500: ("the first that failed",), 99_999: ("the last to end",)}
    shape = Chord(Bulk("double"), call())
    picked = [failed("W.0-500", 1, 2), ran("W.0-77", 0, 9), ran("W.0-99999", 0, 99_999)]
    header = child(look(shape, *picked, folds={"W.0": fold}).root, "W.0")
    assert (header.is_folded, header.count, header.counts) == (True, 100_000, {"succeeded": 99_998, "failed": 2})
    assert [one.stands_out for one in header.children] == [(why,) for (why,) in fold.picks().values()]
    assert header.work == 100_008


def test_a_step_that_ran_again_says_which_run_its_times_are_of() -> None:
    view = TaskView("W", "double", State.SUCCEEDED, "default", "threads", 0, 3, SENT)
    seen = look(call(), Known(ran("W", 5, 6).record, view))
    assert (seen.root.run, seen.root.kind) == (3, "task")


def test_a_damaged_plan_with_a_circle_is_shown_as_far_as_it_goes() -> None:
    shape = Group((call(name="a", after=("b",)), call(name="b", after=("a",)), call()))
    assert [one.id for one in look(shape, ran("W-2", 0, 1)).root.children] == ["W-2"]
