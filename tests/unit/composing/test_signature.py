"""Signature: a task with arguments. What it takes, what it says, and what it is sent as."""

import asyncio
from typing import Any

import pytest

from polypool import ArgumentError, ConfigurationError, DuplicateTask, Signature, UnknownOption, chain
from polypool.testing import Captured, run_in_place
from tests.unit.works import Works, sent, works

__all__ = ["sent", "works"]


def test_it_is_sent_with_its_arguments(works: Works, sent: Captured) -> None:
    works.add.s(1, y=2).delay()
    assert [(one.task, one.args, one.kwargs) for one in sent] == [("add", (1,), {"y": 2})]


def test_it_is_sent_as_the_task_itself_would_be(works: Works, sent: Captured) -> None:
    works.aadd.s(1).delay()
    works.aadd.delay(1)
    first, second = [one.message for one in sent]
    assert first is not None and second is not None
    assert (first.flow, first.policy, first.root, first.parent) == (None, second.policy, None, None)
    assert sent[0].expires == sent[1].expires == 60


def test_more_arguments_go_in_front_and_keywords_over(works: Works, sent: Captured) -> None:
    works.add.s(2).delay(1)
    works.add.s(1, y=2).delay(y=3)
    works.add.s(3).apply_async((1,))
    assert [(one.args, one.kwargs) for one in sent] == [((1, 2), {}), ((1,), {"y": 3}), ((1, 3), {})]


def test_an_immutable_one_takes_nothing(works: Works, sent: Captured) -> None:
    works.add.si(1).delay(5, y=6)
    assert [(one.args, one.kwargs) for one in sent] == [((1,), {})]


def test_calling_it_runs_it_here(works: Works) -> None:
    assert works.add.s(2)(1) == 3
    assert works.add.si(2)(1) == 2
    assert asyncio.run(works.aadd.s(2)(1)) == 3


def test_options_of_its_own_hold_over_those_of_the_task(works: Works, sent: Captured) -> None:
    works.add.s(1).set(queue="slow", priority=4, countdown=5, expires=9, max_retries=1).delay()
    works.add.s(1).set(queue="slow").apply_async(queue="fast")
    first, second = sent
    assert (first.queue, first.priority, first.countdown, first.expires, first.max_retries) == ("slow", 4, 5, 9, 1)
    assert second.queue == "fast"


def test_options_for_one_send_hold_only_for_that(works: Works, sent: Captured) -> None:
    signature = works.add.s(1)
    signature.apply_async(queue="fast", link=works.tell.s())
    signature.delay()
    assert [one.queue for one in sent] == ["fast", "default", "default"]
    assert sent[2].message is not None and sent[2].message.flow is None


def test_set_changes_it_and_returns_it(works: Works) -> None:
    signature = works.add.s(1)
    assert signature.set(queue="slow") is signature
    assert signature.link(works.tell.s()) is signature
    assert signature.link_error(works.tell.s()) is signature
    assert signature.options == {"queue": "slow"}


def test_a_clone_is_changed_alone(works: Works) -> None:
    signature = works.add.s(1).set(queue="slow")
    clone = signature.clone().set(queue="fast").link(works.tell.s())
    assert repr(signature) == "add.s(1).set(queue='slow')"
    assert repr(clone) == "add.s(1).set(queue='fast').link(tell.s())"


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"quue": "x"}, UnknownOption, r"add\.s\(1\)\.set: there is no option 'quue' \(did you mean queue\?\)"),
        ({"countdown": -1}, ConfigurationError, "countdown=-1 must be a number of seconds"),
        ({"countdown": 1, "eta": 5.0}, ConfigurationError, "countdown and eta both say when"),
        ({"expires": "soon"}, ConfigurationError, "expires='soon' must be a number of seconds"),
        ({"priority": 1_000}, ConfigurationError, "priority=1000 must be a whole number from -100 to 100"),
        ({"name": "two words"}, ConfigurationError, "name='two words': the result of a step with a name"),
        ({"after": [3]}, ConfigurationError, r"after=\[3\] must be names of other members"),
        ({"link": 7}, TypeError, "a callback is made of signatures, as task.s"),
        ({"on_failure": [7]}, TypeError, "an error callback is made of signatures"),
        ({"max_pending": 0}, ConfigurationError, "max_pending=0 must be a whole number of tasks"),
    ],
)
def test_what_cannot_be_is_refused_where_it_is_set(
    works: Works, given: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        works.add.s(1).set(**given)


def test_a_task_in_the_place_of_a_signature_is_told_how_to_become_one(works: Works) -> None:
    with pytest.raises(TypeError, match=r"<Task add, threads>; write add\.s\(…\)"):
        works.add.s(1).link(works.add)  # type: ignore[arg-type]


def test_wrong_arguments_are_refused_where_it_is_sent(works: Works, sent: Captured) -> None:
    with pytest.raises(ArgumentError, match="add: x: expected `int`, got `str`"):
        works.add.s("one").delay()
    with pytest.raises(ArgumentError, match="add: too many positional arguments"):
        works.add.s(1, 2).delay(3)
    assert len(sent) == 0


def test_an_id_of_ones_own_can_be_sent_once(works: Works) -> None:
    with run_in_place(works.app):
        assert works.add.s(1).apply_async(task_id="mine").id == "mine"
        with pytest.raises(DuplicateTask, match="'mine' was sent before; nothing was sent now"):
            works.add.s(1).apply_async(task_id="mine")
        with pytest.raises(DuplicateTask):
            works.add.apply_async((1,), task_id="mine", link=works.tell.s())


def test_callbacks_run_with_the_result_or_the_failure(works: Works) -> None:
    with run_in_place(works.app):
        works.add.s(1).link(works.tell.s()).link(works.tell.si(7)).link_error(works.tell_failure.s()).delay(4)
        assert works.told == [5, 7]
        works.told.clear()
        failed = works.boom.s(3).set(on_success=works.tell.s(), on_failure=works.tell_failure.s()).delay()
        assert works.told == [(failed.id, "boom", "boom 3")]


def test_callbacks_may_be_workflows(works: Works) -> None:
    with run_in_place(works.app):
        works.add.s(1).link(works.add.s(10) | works.tell.s()).link_error(works.tell.si(0) | works.tell.si(0)).delay()
    assert works.told == [11]


def test_a_task_is_sent_with_callbacks(works: Works) -> None:
    with run_in_place(works.app):
        works.add.apply_async((1,), {"y": 2}, link=works.tell.s(), on_failure=works.tell_failure.s())
        asyncio.run(works.boom.aapply_async((5,), link_error=[works.tell_failure.si(_step())]))
    assert works.told == [3, ("id", "boom", "made up")]


def _step() -> Any:
    from polypool import FailedStep

    return FailedStep("id", "boom", "ValueError", "made up")


def test_a_signature_with_options_in_one_word(works: Works) -> None:
    made = works.add.signature((1,), {"y": 2}, immutable=True, queue="slow", on_success=works.tell.s())
    assert repr(made) == "add.si(1, y=2).set(queue='slow').link(tell.s())"
    with pytest.raises(TypeError, match="args='text' must be a tuple of arguments"):
        works.add.signature("text")


def test_a_chunk_runs_the_task_for_each_item(works: Works) -> None:
    with run_in_place(works.app):
        assert works.add.each([1, 2, 3]).delay().get() == [1, 2, 3]
        assert works.add.each([(1, 2), (3, 4)], spreads=True).delay().get() == [3, 7]
    assert works.add.each([1, 2])() == [1, 2]
    assert works.add.each([(1, 2)], spreads=True)() == [3]
    assert repr(works.add.each([1, 2])) == "<add for each of 2>"


def test_a_pipe_makes_a_chain_and_nothing_else(works: Works) -> None:
    made = works.add.s(1) | works.add.s(2)
    assert isinstance(made, chain)
    assert repr(made) == "chain(add.s(1), add.s(2))"
    with pytest.raises(TypeError, match="a chain is made of signatures"):
        works.add.s(1) | 5  # type: ignore[operator]


def test_the_result_has_the_id_of_the_signature_sent(works: Works) -> None:
    with run_in_place(works.app):
        assert works.add.s(1).delay().get() == 1
        assert asyncio.run(works.aadd.s(1).adelay()).get() == 1
        assert isinstance(works.add.s(1), Signature)
