"""Frames: whatever pieces they come in, whatever is in them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import commands, frame
from pamqp.body import ContentBody
from pamqp.header import ContentHeader

from polypool.brokers.rabbitmq import frames
from polypool.brokers.rabbitmq.frames import Confirmed, Delivered, Envelope, FrameReader, Garbled, Incoming, Told

BODIES = st.binary(max_size=300)
TAGS = st.integers(1, 2**63 - 1)


def content(method: object, body: bytes, most: int, channel: int = 1) -> bytes:
    """A method with its content, as a server would send it."""
    pieces = [frame.marshal(method, channel), frame.marshal(ContentHeader(body_size=len(body)), channel)]
    for start in range(0, len(body), most):
        pieces.append(frame.marshal(ContentBody(body[start : start + most]), channel))
    return b"".join(pieces)


def delivered(tag: int, body: bytes, most: int) -> tuple[bytes, Incoming]:
    method = commands.Basic.Deliver("7", tag, False, "", "polypool.default.threads")
    return content(method, body, most), Delivered(b"7", tag, body)


def confirmed(tag: int, is_multiple: bool, is_ack: bool) -> tuple[bytes, Incoming]:
    method = commands.Basic.Ack(tag, is_multiple) if is_ack else commands.Basic.Nack(tag, is_multiple, False)
    return frame.marshal(method, 1), Confirmed(tag, is_multiple, is_ack)


def heartbeat() -> tuple[bytes, Incoming | None]:
    return b"\x08\x00\x00\x00\x00\x00\x00\xce", None


ANY = st.one_of(
    st.builds(delivered, TAGS, BODIES, st.integers(1, 100)),
    st.builds(confirmed, TAGS, st.booleans(), st.booleans()),
    st.builds(heartbeat),
)


@given(st.lists(ANY, max_size=8), st.lists(st.integers(1, 60), max_size=30))
def test_what_a_server_says_is_understood_however_it_is_cut(
    said: list[tuple[bytes, Incoming]], cuts: list[int]
) -> None:
    words = b"".join(piece for piece, _ in said)
    reader, found = FrameReader(), []
    for cut in cuts:
        found += reader.feed(words[:cut])
        words = words[cut:]
    found += reader.feed(words)
    assert found == [meant for _, meant in said if meant is not None]


@given(st.binary(max_size=200))
def test_any_bytes_are_understood_waited_for_or_refused(words: bytes) -> None:
    try:
        FrameReader().feed(words)
    except Garbled as error:
        assert str(error)


@given(st.lists(ANY, min_size=1, max_size=3), st.integers(0, 400), st.integers(0, 255))
def test_a_changed_byte_is_never_more_than_a_garbled_line(
    said: list[tuple[bytes, Incoming]], place: int, changed: int
) -> None:
    words = bytearray(b"".join(piece for piece, _ in said))
    words[place % len(words)] = changed
    try:
        FrameReader().feed(bytes(words))
    except Garbled as error:
        assert str(error)


@given(BODIES, st.integers(20, 200), st.none() | st.integers(0, 20))
def test_what_is_published_is_what_amqp_says(body: bytes, frame_max: int, priority: int | None) -> None:
    words = Envelope(3, "polypool.default.threads", priority).around(body, frame_max)
    parts, read = b"", []
    while words:
        consumed, channel, part = frame.unmarshal(words)
        assert channel == 3 and (consumed <= frame_max or not isinstance(part, ContentBody))
        read.append(part)
        parts += part.value if isinstance(part, ContentBody) else b""
        words = words[consumed:]
    publish, header = read[:2]
    assert (publish.name, publish.routing_key, publish.mandatory) == ("Basic.Publish", "polypool.default.threads", True)
    assert header.body_size == len(body) and parts == body
    assert (header.properties.delivery_mode, header.properties.priority) == (2, priority)


@given(TAGS, st.booleans())
def test_acknowledgements_are_those_of_amqp(tag: int, is_multiple: bool) -> None:
    assert frames.ack(1, tag, is_multiple) == frame.marshal(commands.Basic.Ack(tag, is_multiple), 1)
    assert frames.requeue(1, tag) == frame.marshal(commands.Basic.Nack(tag, False, True), 1)


def test_a_message_that_came_back_brings_its_body() -> None:
    returned = commands.Basic.Return(312, "NO_ROUTE", "", "gone")
    [told] = FrameReader().feed(content(returned, b"body", 2))
    assert isinstance(told, Told) and told.method.name == "Basic.Return" and told.body == b"body"


def test_bodies_of_two_channels_may_be_mixed() -> None:
    one = content(commands.Basic.Deliver("1", 1, False, "", "q"), b"abcd", 4, channel=1)
    two = content(commands.Basic.Deliver("2", 9, False, "", "q"), b"wxyz", 4, channel=2)
    at = len(one) - 12  # before its body
    assert FrameReader().feed(one[:at] + two + one[at:]) == [Delivered(b"2", 9, b"wxyz"), Delivered(b"1", 1, b"abcd")]


def test_a_server_of_another_protocol_is_told_by_its_first_words() -> None:
    with pytest.raises(Garbled, match="AMQP 00 01 00 00 and no 0-9-1"):
        FrameReader().feed(b"AMQP\x00\x01\x00\x00")
