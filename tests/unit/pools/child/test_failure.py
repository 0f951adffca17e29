"""An exception as text that can leave its process."""

from polypool.core.codec import decode, encode
from polypool.core.outcome import Failure
from polypool.pools.child.failure import LONGEST_TRACEBACK, failure


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def caught(error: Exception) -> Failure:
    try:
        raise error
    except Exception as raised:
        return failure(raised)


def test_builtins_are_named_alone_and_others_with_their_module() -> None:
    assert caught(KeyError("x")).type == "KeyError"
    assert caught(Mute()).type == f"{__name__}.Mute"


def test_an_exception_whose_text_cannot_be_had_is_told_nevertheless() -> None:
    assert caught(Mute()).message == "<Mute whose text cannot be had>"


def test_text_with_lone_surrogates_can_still_be_sent() -> None:
    told = caught(ValueError("name \udc80"))
    assert decode(encode(told), Failure) == told
    assert "\\udc80" in told.message


def test_an_endless_traceback_keeps_its_beginning_and_its_end() -> None:
    told = caught(ValueError("x" * 10 * LONGEST_TRACEBACK))
    assert len(told.traceback) < LONGEST_TRACEBACK + 200
    assert told.traceback.startswith("Traceback")
    assert "characters left out" in told.traceback
