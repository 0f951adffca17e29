"""Values by reference: how a result that is made of other steps' results is stored, and read."""

from collections.abc import Generator, Sequence
from typing import Any

import msgspec

from polypool.core.ask import Ask, Read
from polypool.core.codec import encode
from polypool.core.event import Record
from polypool.core.join import Listed, Many, One, Ref
from polypool.core.lifecycle import State

CODE = 0x50
"""The MessagePack extension type of a value that stands in other records."""
WINDOW = 1_000
"""Records read with one ask: what bounds an answer's size."""

_EXTENSIONS = frozenset({0xC7, 0xC8, 0xC9, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8})
_extension = msgspec.msgpack.Decoder(msgspec.msgpack.Ext)
_ref = msgspec.msgpack.Decoder(Ref)

Reading = Generator[Ask, Any, bytes]
"""Asks, and in the end a whole value as MessagePack."""


class Unread(LookupError):
    """A record that a value is to be read from is not there, or did not succeed. `record` is None where it is not."""

    def __init__(self, id: str, record: Record | None) -> None:
        super().__init__(id)
        self.id = id
        self.record = record


def by_reference(ref: Ref) -> bytes:
    """What a record holds instead of a value."""
    return encode(msgspec.msgpack.Ext(CODE, encode(ref)))


def reference_in(value: bytes) -> Ref | None:
    """What a record's value refers to; None where it is a value itself."""
    if not value or value[0] not in _EXTENSIONS:
        return None
    extension = _extension.decode(value)
    if extension.code != CODE:
        return None
    ref: Ref = _ref.decode(extension.data)
    return ref


def read_value(ref: Ref) -> Reading:
    """The whole value behind a reference, however deep. Unread."""
    match ref:
        case One(id):
            (value,) = yield from read_values([id])
            return value
        case Many():
            values = []
            for start in range(0, ref.count, WINDOW):
                values += yield from read_values(ref.ids(start, start + WINDOW))
            return joined(values)
        case Listed(refs):
            return joined((yield from read_listed(refs)))


def read_values(ids: list[str]) -> Generator[Ask, Any, list[bytes]]:
    """The whole value of each of these steps, which have succeeded. Unread."""
    values: list[bytes] = []
    for record in (yield from _succeeded(ids)):
        values.append((yield from whole(record.value)))
    return values


def whole(value: bytes | None) -> Reading:
    """A record's value, or the one that it refers to. A task that returned itself, time and again, left a line of
    references as long as there were runs."""
    while value is not None and (ref := reference_in(value)) is not None:
        if not isinstance(ref, One):
            return (yield from read_value(ref))
        (record,) = yield from _succeeded([ref.id])
        value = record.value
    return encode(None) if value is None else value


def _succeeded(ids: list[str]) -> Generator[Ask, Any, list[Record]]:
    records = []
    for id, record in zip(ids, (yield Read(ids)), strict=True):
        if record is None or record.state is not State.SUCCEEDED:
            raise Unread(id, record)
        records.append(record)
    return records


def joined(values: list[bytes]) -> bytes:
    """A list of values that are encoded already."""
    return encode([msgspec.Raw(value) for value in values])


def read_listed(refs: Sequence[Ref]) -> Generator[Ask, Any, list[bytes]]:
    """The whole value of each; single steps, which most are, with one ask for many. Unread."""
    singles = [ref.id for ref in refs if isinstance(ref, One)]
    values: dict[str, bytes] = {}
    for start in range(0, len(singles), WINDOW):
        window = singles[start : start + WINDOW]
        values.update(zip(window, (yield from read_values(window)), strict=True))
    read = []
    for ref in refs:
        read.append(values[ref.id] if isinstance(ref, One) else (yield from read_value(ref)))
    return read
