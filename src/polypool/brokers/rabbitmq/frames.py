"""AMQP 0-9-1 frames, as bytes: the four kinds that every message costs by hand, all others by pamqp.

    frame   := type(1) channel(2) size(4) payload end(0xCE)
    content := method frame, header frame (class 2, weight 2, body size 8, properties), body frames

The protocol: https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf, §2.3 and §4.2. A library that makes an object of
each frame takes 10 to 60 µs a message and this 1; docs/decisions/rabbitmq-client.md has the figures.
"""

import struct
from typing import Any, NamedTuple

from pamqp import commands, exceptions, frame
from pamqp.header import ContentHeader

METHOD, HEADER, BODY, HEARTBEAT = 1, 2, 3, 8
END = 0xCE
OVERHEAD = 8
"""Bytes of a frame that are not payload."""
DELIVER, ACK, NACK, RETURN, GET_OK = 0x003C003C, 0x003C0050, 0x003C0078, 0x003C0032, 0x003C0047
LARGEST_FRAME = 1 << 24
"""Of what a server may send. No server uses more than 128 KiB; a size beyond this is no AMQP."""

_head = struct.Struct(">BHI").unpack_from
_method = struct.Struct(">I").unpack_from
_number = struct.Struct(">Q").unpack_from
_pack_head = struct.Struct(">BHI").pack
_pack_size = struct.Struct(">Q").pack
_pack_ack = struct.Struct(">BHIIQBB").pack


class Garbled(Exception):
    """What came is no AMQP 0-9-1; the connection is of no more use."""


class Delivered(NamedTuple):
    """A message pushed to a consumer. `tag` acknowledges it, on this channel only."""

    consumer: bytes
    tag: int
    body: bytes


class Confirmed(NamedTuple):
    """The server answers for what was published: up to `tag` where it is multiple."""

    tag: int
    is_multiple: bool
    is_ack: bool


class Told(NamedTuple):
    """Any other method, with its content where it has one."""

    channel: int
    method: Any
    body: bytes | None = None


Incoming = Delivered | Confirmed | Told


class _Content:
    """A method whose body is still arriving."""

    __slots__ = ("left", "method", "parts")

    def __init__(self, method: Any) -> None:
        self.method = method
        self.left = -1
        self.parts: list[bytes] = []


class FrameReader:
    """Bytes as they come from the line, in pieces of any size, to what they mean."""

    def __init__(self) -> None:
        self._rest = b""
        self._contents: dict[int, _Content] = {}

    def feed(self, data: bytes) -> list[Incoming]:
        """What is complete now, in order. Garbled where it is no AMQP."""
        buffer = self._rest + data if self._rest else data
        found: list[Incoming] = []
        at, length = 0, len(buffer)
        while length - at >= OVERHEAD:
            kind, channel, size = _head(buffer, at)
            if size > LARGEST_FRAME:
                raise Garbled(_said(buffer[at:]))
            end = at + size + OVERHEAD
            if end > length:
                break
            if buffer[end - 1] != END:
                raise Garbled(_said(buffer[at:]))
            if kind == METHOD:
                self._read_method(buffer, at, end, channel, found)
            elif kind == HEADER:
                self._read_header(buffer, at, end, channel, found)
            elif kind == BODY:
                self._read_body(buffer[at + 7 : end - 1], channel, found)
            elif kind != HEARTBEAT:
                raise Garbled(f"a frame of kind {kind}")
            at = end
        self._rest = buffer[at:]
        if self._rest[:4] == b"AMQP":
            raise Garbled(_said(self._rest))
        return found

    def _read_method(self, buffer: bytes, at: int, end: int, channel: int, found: list[Incoming]) -> None:
        if end - at < 12:
            raise Garbled("a method frame without a method")
        (method,) = _method(buffer, at + 7)
        if method == DELIVER:
            tag_ends = at + 12 + buffer[at + 11]
            if tag_ends + 8 > end:
                raise Garbled("a delivery without its tag")
            (number,) = _number(buffer, tag_ends)
            self._contents[channel] = _Content((buffer[at + 12 : tag_ends], number))
        elif method in (ACK, NACK):
            if end - at < 21:
                raise Garbled("a confirm without its tag")
            (number,) = _number(buffer, at + 11)
            found.append(Confirmed(number, bool(buffer[at + 19] & 1), method == ACK))
        else:
            told = _unmarshal(buffer[at:end])
            if method in (RETURN, GET_OK):
                self._contents[channel] = _Content(told)
            else:
                found.append(Told(channel, told))

    def _read_header(self, buffer: bytes, at: int, end: int, channel: int, found: list[Incoming]) -> None:
        content = self._contents.get(channel)
        if content is None or end - at < 20:
            raise Garbled("a content header that belongs to nothing")
        (content.left,) = _number(buffer, at + 11)
        if content.left == 0:
            self._complete(content, channel, found)

    def _read_body(self, piece: bytes, channel: int, found: list[Incoming]) -> None:
        content = self._contents.get(channel)
        if content is None or len(piece) > content.left:
            raise Garbled("a content body that belongs to nothing")
        content.parts.append(piece)
        content.left -= len(piece)
        if content.left == 0:
            self._complete(content, channel, found)

    def _complete(self, content: _Content, channel: int, found: list[Incoming]) -> None:
        del self._contents[channel]
        body = content.parts[0] if len(content.parts) == 1 else b"".join(content.parts)
        if type(content.method) is tuple:
            consumer, tag = content.method
            found.append(Delivered(consumer, tag, body))
        else:
            found.append(Told(channel, content.method, body))


def _unmarshal(words: bytes) -> Any:
    try:
        return frame.unmarshal(words)[2]
    except (exceptions.PAMQPException, KeyError, ValueError, IndexError, struct.error, TypeError) as error:
        raise Garbled(f"{type(error).__name__}: {error}") from None


def _said(words: bytes) -> str:
    if words[:4] == b"AMQP":
        return f"the server speaks AMQP {words[4:8].hex(' ')} and no 0-9-1"
    return f"it begins {words[:16]!r}"


class Envelope:
    """What is the same around every message of one queue; made once."""

    def __init__(self, channel: int, queue: str, priority: int | None = None) -> None:
        publish = commands.Basic.Publish(routing_key=queue, mandatory=True)
        properties = commands.Basic.Properties(content_type="application/msgpack", delivery_mode=2, priority=priority)
        header = frame.marshal(ContentHeader(body_size=0, properties=properties), channel)
        self._before = frame.marshal(publish, channel) + header[:11]
        self._after = header[19:]
        self._channel = channel

    def around(self, body: bytes, frame_max: int) -> bytes:
        """The frames that publish a body."""
        most = frame_max - OVERHEAD
        pieces = [self._before, _pack_size(len(body)), self._after]
        for start in range(0, len(body), most):
            piece = body[start : start + most]
            pieces += (_pack_head(BODY, self._channel, len(piece)), piece, b"\xce")
        return b"".join(pieces)


def ack(channel: int, tag: int, is_multiple: bool = False) -> bytes:
    """Acknowledge one delivery, or all up to it."""
    return _pack_ack(METHOD, channel, 13, ACK, tag, is_multiple, END)


def requeue(channel: int, tag: int) -> bytes:
    """Give one delivery back to its queue."""
    return _pack_ack(METHOD, channel, 13, NACK, tag, 0b10, END)
