"""Bytes to words and back: MessagePack by msgspec, encoders and decoders built once."""

from typing import Any, TypeVar

import msgspec

from polypool.core.message import Message

T = TypeVar("T")


def _plain(value: Any) -> Any:
    """A value of a subclass (a template engine's safe string, a number with a unit) as the plain value it is."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, bytes):
        return bytes(value)
    raise TypeError(f"Encoding objects of type {type(value).__name__} is unsupported")


_encoder = msgspec.msgpack.Encoder(enc_hook=_plain)
_message = msgspec.msgpack.Decoder(Message)
_any = msgspec.msgpack.Decoder()

encode = _encoder.encode
"""Any value polypool carries, as MessagePack. Raises TypeError for what has no such form."""
decode_any = _any.decode


def decode_message(body: bytes, id: str = "?") -> tuple[Message, str | None]:
    """A stored body as a message, or a label and the reason why it is none."""
    try:
        return _message.decode(body), None
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        return Message(id=id, task="?", args=b""), str(error)


def decode(body: bytes, type: type[T]) -> T:
    """Typed decoding for the rare path; hot paths hold a Decoder of their own."""
    return msgspec.msgpack.decode(body, type=type)


def to_builtins(value: Any) -> Any:
    """A value as plain lists, dicts, strings and numbers, for JSON output and messages to people."""
    return msgspec.to_builtins(value, str_keys=True)
