"""Bytes to words and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polypool.core.codec import decode, decode_any, decode_message, encode
from polypool.core.message import Message, Policy
from tests.unit.core.words import messages


@given(messages)
def test_a_message_comes_back_as_it_was(message: Message) -> None:
    assert decode_message(encode(message)) == (message, None)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_message_or_a_label_with_a_reason(body: bytes) -> None:
    message, reason = decode_message(body, "the-id")
    assert reason is None or (message.id == "the-id" and reason)


@given(messages, st.integers(0, 200))
def test_a_cut_body_is_never_taken_for_a_message(message: Message, at: int) -> None:
    body = encode(message)
    _, reason = decode_message(body[: at % len(body)])
    assert reason


def test_a_message_of_an_older_release_is_filled_in_with_defaults() -> None:
    assert decode_message(encode(["id", "task", b"args"])) == (Message(id="id", task="task", args=b"args"), None)


def test_a_message_of_a_newer_release_is_read_as_far_as_it_is_known() -> None:
    newer = decode_any(encode(Message(id="id", task="task", args=b"")))
    newer[11].append("a new option")
    newer.append("a new field")
    assert decode_message(encode(newer)) == (Message(id="id", task="task", args=b"", policy=Policy()), None)


def test_a_value_without_a_form_is_refused() -> None:
    with pytest.raises(TypeError):
        encode({"socket": object()})


def test_a_string_of_a_subclass_goes_as_the_string_it_is() -> None:
    class Safe(str):
        def __str__(self) -> str:
            return "something else"

    assert decode_any(encode({"html": Safe("<b>")})) == {"html": "<b>"}
    assert decode(encode([1, 2]), list[int]) == [1, 2]
