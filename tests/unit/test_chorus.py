"""Watchers of one stream share one ask at the engine, and each comes and goes as if it were alone."""

from polypool.chorus import Chorus
from polypool.core.ask import Follow
from polypool.native import Answer

ASK = Follow("a", None, 30.0)


def test_only_the_first_asks_and_all_are_told() -> None:
    chorus, replies = Chorus(), [Answer() for _ in range(5)]
    first, *others = [chorus.join(ASK, reply) for reply in replies]
    assert first is not None and others == [None] * 4
    first.set("page")
    assert [reply.result(0) for reply in replies] == ["page"] * 5
    assert chorus.join(ASK, Answer()) is not None, "what was answered is over: the next one asks anew"


def test_an_error_is_told_to_all() -> None:
    chorus, replies = Chorus(), [Answer() for _ in range(2)]
    first, _ = [chorus.join(ASK, reply) for reply in replies]
    assert first is not None
    first.set(error=ValueError("no"))
    for reply in replies:
        try:
            reply.result(0)
        except ValueError as error:
            assert str(error) == "no"
        else:
            raise AssertionError("it was told nothing")


def test_other_streams_other_cursors_and_other_waits_are_asked_for_themselves() -> None:
    chorus = Chorus()
    for ask in (ASK, Follow("b", None, 30.0), Follow("a", "1-1", 30.0), Follow("a", None, 0.0)):
        assert chorus.join(ask, Answer()) is not None


def test_one_that_leaves_takes_the_ask_along_only_when_it_was_the_last() -> None:
    chorus, replies = Chorus(), [Answer() for _ in range(3)]
    first, *_ = [chorus.join(ASK, reply) for reply in replies]
    assert first is not None
    assert chorus.leave(replies[0]) is None
    assert chorus.leave(replies[0]) is None
    assert chorus.leave(replies[1]) is None
    assert chorus.leave(replies[2]) is first
    anew = chorus.join(ASK, replies[0])
    assert anew is not None
    first.set("late")
    assert not replies[0].is_set(), "the end of the former ask is none of its business"
    anew.set("page")
    assert replies[0].result(0) == "page" and not replies[1].is_set()


def test_one_that_never_joined_leaves_nothing() -> None:
    assert Chorus().leave(Answer()) is None
