"""Records: what Lua writes, Python reads, to the byte."""

import struct

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from polypool.brokers.redis.record import (
    LENGTH,
    TELLS,
    Words,
    delivery,
    fence,
    header,
    lane_name,
    lane_named,
    record,
    stored_message,
    unframed,
)
from polypool.core.codec import encode
from polypool.core.join import Flow, Next
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
    assert made[:10] == [3, "threads:a", 0, 0, "threads:b", 0, 0, "threads:a", 5, 0]
    assert [made[at] for at in range(11, len(made), 4)] == [1, 2, 1, 3]


def test_a_message_whose_end_others_wait_for_says_so_where_it_goes() -> None:
    words = Words(50.0)
    for flow in (None, Flow(1), Flow(then=(Next("b"),))):
        words.message(Message("a", "t", b"", flow=flow), b"")
    assert words.all() == [2, "threads:default", 0, 0, "threads:default", 0, TELLS]


def test_a_step_that_waits_for_others_is_due_when_it_is_ready() -> None:
    words = Words(50.0)
    for fields, due in (({}, 0.0), ({"due": 30.0}, 30.0), ({"countdown": 9.0}, -9.0)):
        flow = Flow(5, countdown=fields.get("countdown", 0.0))
        step = Message("a", "t", b"", due=fields.get("due"), flow=flow)
        _, _, state, rest = words.message(step, b"body")
        assert isinstance(rest, bytes)
        assert (state, *struct.unpack_from(">ddI", rest), rest[20:]) == ("w", due, 5.0, 0, b"body")
        assert stored_message("a", stored(b"w", encode(step))) == step


def test_why_a_step_is_only_to_be_ended_comes_with_its_delivery() -> None:
    body, cause = encode(Message("a", "app.work", b"")), b"because"
    written = stored(b"q", cause + body)
    written = written[:44] + struct.pack(">I", len(cause)) + written[48:]
    taken = delivery(b"a", written, 1.0, {})
    assert (taken.cause, taken.body, taken.defect) == (cause, body, None)
    assert delivery(b"a", stored(b"q", body), 1.0, {}).cause is None


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
