"""Records: what Lua writes, Python reads, to the byte."""

import struct

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from polypool.brokers.redis.record import (
    LENGTH,
    Words,
    delivery,
    fence,
    header,
    lane_name,
    lane_named,
    record,
    unframed,
)
from polypool.core.codec import encode
from polypool.core.lifecycle import State
from polypool.core.message import Lane, Message

NUMBERS = st.integers(0, 2**32 - 1)


def stored(letter: bytes, body: bytes, *, flags: int = 0, seq: int = 7, token: int = 0, deliveries: int = 0) -> bytes:
    """As lua/record.lua packs it: '>c1BhI4I8I4I4I4ddI4'."""
    return struct.pack(">cBhIQIIIddI", letter, flags, -3, 5, seq, token, deliveries, 9, 100.5, 0.0, 0) + body


def test_the_header_is_48_bytes_as_lua_has_it() -> None:
    head = header(stored(b"r", b"", token=2, deliveries=1))
    assert LENGTH == 48
    assert (head.state, head.priority, head.lane, head.seq, head.token, head.worker, head.due) == (
        State.RUNNING, -3, 5, 7, 2, 9, 100.5,
    )  # fmt: skip


@given(seq=st.integers(0, 2**63), token=NUMBERS.filter(lambda token: token < 2**32 - 1))
def test_the_fence_of_a_delivery_is_what_stands_in_its_header(seq: int, token: int) -> None:
    body = encode(Message("a", "app.work", b""))
    taken = delivery(b"a", stored(b"q", body, seq=seq, token=token), 1.0, {})
    assert fence(taken) == stored(b"r", body, seq=seq, token=token + 1)[8:20]


def test_a_delivery_counts_the_take_that_brought_it() -> None:
    message = Message("a", "app.work", b"\x90", queue="fast")
    taken = delivery(b"a", stored(b"q", encode(message), flags=1, token=4, deliveries=2), 12.5, {})
    assert (taken.message, taken.token, taken.deliveries, taken.taken_at) == (message, 5, 3, 12.5)
    assert taken.is_cancelled and taken.handle == 7


def test_an_undecodable_body_is_labelled_with_its_lane() -> None:
    taken = delivery(b"a", stored(b"q", b"\xc1"), 1.0, {5: Lane("fast", "threads")})
    assert taken.defect and taken.message.lane == Lane("fast", "threads")


@given(st.text(min_size=1, max_size=300), st.text(max_size=300))
def test_of_a_message_that_has_not_ended_its_beginning_tells_the_task(id: str, task: str) -> None:
    body = encode(Message(id, task, b"x" * 5000))
    assert record(id, stored(b"q", body)[: LENGTH + 2500]).task == task


def test_a_beginning_too_short_for_the_name_tells_a_question_mark() -> None:
    assert record("a", stored(b"q", encode(Message("a", "app.work", b"")))[: LENGTH + 6]).task == "?"


@given(st.lists(st.binary(max_size=300)))
def test_framed_words_come_apart_as_they_were(words: list[bytes]) -> None:
    assert unframed(b"".join(struct.pack(">I", len(word)) + word for word in words)) == words


def test_each_place_messages_go_to_is_named_once() -> None:
    words = Words(50.0)
    for queue, priority in (("a", 0), ("b", 0), ("a", 0), ("a", 5)):
        words.add(*words.message(Message("id", "t", b"", queue=queue, priority=priority), b"body"))
    made = words.all()
    assert made[:7] == [3, "threads:a", 0, "threads:b", 0, "threads:a", 5]
    assert [made[at] for at in range(8, len(made), 4)] == [1, 2, 1, 3]


def test_a_message_waits_since_it_was_sent_or_due_or_else_since_now() -> None:
    words = Words(50.0)
    for fields, since in (({"sent_at": 20.0}, 20.0), ({"sent_at": 20.0, "due": 30.0}, 30.0), ({}, 50.0)):
        message = msgspec.structs.replace(Message("id", "t", b""), **fields)
        *_, rest = words.message(message, b"body")
        assert isinstance(rest, bytes)
        assert rest == struct.pack(">ddI", since, 0.0, 0) + b"body"


@given(st.text(max_size=20), st.sampled_from(["threads", "asyncio"]))
def test_a_lane_is_named_and_read_back(queue: str, pool: str) -> None:
    assert lane_named(lane_name(Lane(queue, pool)).encode()) == Lane(queue, pool)
