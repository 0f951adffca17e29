"""chain: one after the other. What composing copies, what steps inherit, and what is refused."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from polypool import ArgumentError, ConfigurationError, Polypool, TaskFailed, chain, group
from polypool.canvas.step import KEPT
from polypool.core.message import Message
from polypool.testing import Captured, run_in_place
from tests.unit.works import Works, sent, works

__all__ = ["sent", "works"]


def messages(sent: Captured) -> dict[str, Message]:
    """By the part of the id behind the workflow's."""
    found = {one.id: one.message for one in sent if one.message is not None}
    root = min(found, key=len)
    return {id.removeprefix(root): message for id, message in found.items()}


def test_each_step_gets_the_result_of_the_one_before(works: Works) -> None:
    flow = works.add.s(1) | works.add.s(10) | works.add.si(5) | works.add.s(100)
    assert flow() == 105
    with run_in_place(works.app):
        assert flow.delay().get() == 105
        assert flow.delay(7).get() == 105
        assert (works.add.s(1) | works.add.s(10)).delay(7).get() == 18


def test_it_can_be_sent_again_and_is_no_different(works: Works) -> None:
    flow = chain(works.add.s(1), works.add.s(1))
    with run_in_place(works.app):
        assert [flow.delay().get(), flow.delay().get()] == [2, 2]


def test_calling_one_with_an_async_step_makes_a_coroutine(works: Works) -> None:
    assert asyncio.run((works.add.s(1) | works.aadd.s(2) | works.add.s(3))()) == 6


def test_steps_may_come_as_one_iterable(works: Works) -> None:
    assert chain(works.add.s(n) for n in range(4))() == 6
    assert repr(chain([works.add.s(1)])) == "chain(add.s(1))"


def test_chains_of_chains_are_one_chain(works: Works) -> None:
    a, b, c, d = (works.add.s(n) for n in range(4))
    assert repr((a | b) | (c | d)) == "chain(add.s(0), add.s(1), add.s(2), add.s(3))"
    assert repr(a | (b | c).set(queue="x")) == "chain(add.s(0), chain(add.s(1), add.s(2)).set(queue='x'))"


def test_composing_takes_copies(works: Works) -> None:
    first = works.add.s(1)
    flow = first | works.add.s(2)
    first.set(queue="later")
    clone = flow.clone().set(queue="clone")
    assert repr(flow) == "chain(add.s(1), add.s(2))"
    assert repr(clone) == "chain(add.s(1), add.s(2)).set(queue='clone')"


def test_nothing_is_no_chain(works: Works) -> None:
    for empty in (chain, lambda: chain([])):
        with pytest.raises(ConfigurationError, match="a chain needs at least one step"):
            empty()
    with pytest.raises(TypeError, match=r"<Task add, threads>; write add\.s"):
        chain(works.add.s(1), works.add)  # type: ignore[arg-type]


def test_its_steps_are_sent_in_one_put_with_its_id_on_the_last(works: Works, sent: Captured) -> None:
    result = (works.add.s(1) | works.add.s(2) | works.add.s(3)).delay()
    assert {one.id for one in sent} == {result.id, f"{result.id}.0", f"{result.id}.1"}
    assert {one.message.root for one in sent if one.message} == {result.id}


def test_an_id_of_ones_own_is_the_workflows(works: Works, sent: Captured) -> None:
    assert (works.add.s(1) | works.add.s(2)).apply_async(task_id="mine").id == "mine"
    assert {one.id for one in sent} == {"mine.0", "mine"}
    with pytest.raises(ConfigurationError, match="task_id='x' is set on a step of a workflow") as raised:
        chain(works.add.s(1), works.add.s(2).set(task_id="x")).delay()
    assert raised.value.__notes__ == ["polypool: this was step 2 of 2 of a chain"]


def test_wrong_arguments_say_which_step_and_where_they_come_from(works: Works, sent: Captured) -> None:
    with pytest.raises(ArgumentError, match="its first argument is the result of what comes before it") as raised:
        (works.add.s(1) | works.add.s(1, 2)).delay()
    assert raised.value.__notes__ == ["polypool: this was step 2 of 2 of a chain"]
    with pytest.raises(ArgumentError, match="multiple values for argument 'x'"):
        (works.add.s(1) | works.add.s(x=1)).delay()
    with pytest.raises(ArgumentError, match="add: y: expected `int`, got `str`"):
        (works.add.s(1) | works.add.s("two")).delay()
    with pytest.raises(ArgumentError, match="missing a required argument: 'x'"):
        (works.add.s(1) | works.add.si()).delay()
    assert len(sent) == 0


def test_its_options_hold_for_steps_that_say_nothing(works: Works, sent: Captured) -> None:
    flow = works.add.s(1) | works.add.s(2).set(priority=9, queue="own")
    flow.set(priority=3, queue="all", expires=60).apply_async(countdown=5, max_retries=8)
    found = messages(sent)
    assert (found[".0"].priority, found[".0"].queue) == (3, "all")
    assert (found[""].priority, found[""].queue) == (9, "own")
    assert {one.policy.max_retries for one in found.values()} == {8}
    assert {one.expires == one.sent_at + 60 for one in found.values()} == {True}


def test_a_countdown_of_the_whole_is_that_of_its_beginning(works: Works, sent: Captured) -> None:
    (group(works.add.s(1), works.add.s(2)) | works.total.s()).apply_async(countdown=5)
    found = messages(sent)
    assert [found[f".0-{n}"].due == found[""].sent_at + 5 for n in range(2)] == [True, True]
    assert found[""].due is None and found[""].due_when_ready == 0.0


def test_a_later_steps_countdown_begins_when_it_is_ready(works: Works) -> None:
    with run_in_place(works.app) as place:
        result = (works.add.s(1).set(countdown=10) | works.add.s(2).set(countdown=100)).delay()
        place.advance(10)
        assert result.status == "scheduled"
        place.advance(99)
        assert result.status == "scheduled"
        place.advance(1)
        assert result.get() == 3


def test_a_date_to_expire_holds_for_all(works: Works, sent: Captured) -> None:
    until = datetime.now(UTC) + timedelta(hours=1)
    (works.add.s(1) | works.add.s(2)).apply_async(expires=until)
    assert [round(one.expires or 0) for one in messages(sent).values()] == [round(until.timestamp())] * 2


def test_a_tasks_own_expiry_does_not_run_while_others_are_waited_for(works: Works, sent: Captured) -> None:
    (works.aadd.s(1) | works.aadd.s(2)).delay()
    found = messages(sent)
    assert found[".0"].expires == found[".0"].sent_at + 60
    assert found[""].expires is None


def test_results_of_steps_are_kept_for_a_week_unless_somebody_says_otherwise(works: Works, sent: Captured) -> None:
    (works.add.s(1).set(result_ttl=5) | works.add.s(2)).link(works.tell.s()).delay()
    found = messages(sent)
    assert [found[one].policy.result_ttl for one in (".0", "", "!0")] == [5, KEPT, KEPT]
    sent.clear()
    works.add.s(1).delay()
    assert sent[0].message is not None and sent[0].message.policy.result_ttl < KEPT
    sent.clear()
    (works.add.s(1) | works.add.s(2)).apply_async(result_ttl=50)
    assert {one.policy.result_ttl for one in messages(sent).values()} == {50}


def test_a_result_that_is_read_must_be_kept(works: Works, sent: Captured) -> None:
    with pytest.raises(ConfigurationError, match="result_ttl=0 keeps no result"):
        (works.add.s(1) | works.add.s(2)).apply_async(result_ttl=0)
    assert len(sent) == 0


def test_its_error_callback_is_told_once_of_whichever_step_fails(works: Works) -> None:
    with run_in_place(works.app):
        flow = works.boom.s(1) | works.add.s(1) | works.add.s(2)
        failed = flow.set(on_failure=works.tell_failure.s(), on_success=works.tell.si("never")).delay()
        with pytest.raises(TaskFailed, match="boom 1"):
            failed.get()
    assert works.told == [(f"{failed.id}.0", "boom", "boom 1")]


def test_callbacks_inherit_the_priority_and_never_expire(works: Works, sent: Captured) -> None:
    (works.add.s(1) | works.add.s(2)).link_error(works.tell.s()).apply_async(priority=5, expires=60, queue="q")
    callback = messages(sent)["!0"]
    assert (callback.priority, callback.expires, callback.queue) == (5, None, "default")


def test_a_step_may_return_a_workflow(works: Works) -> None:
    @works.app.task(name="unfold")
    def unfold(n: int) -> object:
        return group(works.add.s(one) for one in range(n)) | works.total.s()

    with run_in_place(works.app):
        assert (unfold.s(4) | works.add.s(100)).delay().get() == 106
    assert (unfold.s(4) | works.add.s(100))() == 106


def test_tasks_of_two_apps_make_no_workflow(works: Works) -> None:
    other = Polypool("other", broker="memory://")
    stranger = other.task(name="stranger")(lambda x: x)
    with pytest.raises(ConfigurationError, match="belong to several apps"):
        (works.add.s(1) | stranger.s()).delay()


def test_what_a_task_sends_knows_its_parent_and_root(works: Works) -> None:
    @works.app.task(name="sender")
    def sender() -> None:
        (works.add.s(1) | works.add.s(2)).delay()

    with run_in_place(works.app) as place:
        outer = (works.add.s(1) | sender.si()).delay()
        inner = [one.message for one in place.sent if one.parent]
    assert {(one.parent, one.root) for one in inner if one} == {(outer.id, outer.id)}
