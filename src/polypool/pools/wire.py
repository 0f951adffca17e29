"""Wire: what supervisor, template and children say to each other, as frames over a socket pair.

A frame is a length (4 bytes, big-endian) and a MessagePack array of items, so that what piled up travels in one
write. Both ends come from one installation, so these words may change freely between releases.
"""

import struct
from collections.abc import Iterator

import msgspec

from polypool.core.ask import Ask
from polypool.core.event import Event
from polypool.core.manifest import Manifest
from polypool.core.outcome import Outcome

_length = struct.Struct(">I")


class Begin(msgspec.Struct, frozen=True, array_like=True, tag="begin", gc=False):
    """Supervisor to child: run this. Numbers rise within one child; `run` is the delivery's token."""

    number: int
    run: int
    deliveries: int
    body: bytes


class Recall(msgspec.Struct, frozen=True, array_like=True, tag="recall"):
    """Supervisor to child: give back those of these calls that have not begun. Answered with `Recalled`."""

    numbers: list[int]


class Cancel(msgspec.Struct, frozen=True, array_like=True, tag="cancel"):
    """Supervisor to child: end this call early."""

    number: int


class Reply(msgspec.Struct, frozen=True, array_like=True, tag="reply"):
    """Supervisor to child: the answer to `Asked`, as MessagePack, or the error's class and text."""

    number: int
    value: bytes
    error: tuple[str, str] | None = None


class Leave(msgspec.Struct, frozen=True, array_like=True, tag="leave"):
    """Supervisor to child: nothing more will come; end what runs, leave the lifespan, exit."""


class Ready(msgspec.Struct, frozen=True, array_like=True, tag="ready"):
    """Child to supervisor: the lifespan is entered, calls may come.

    With its pid: the template's word of it travels by another socket and may come later, and a child that runs calls
    must be one that can be killed.
    """

    pid: int


class Unfit(msgspec.Struct, frozen=True, array_like=True, tag="unfit"):
    """Child to supervisor: it cannot start; the text says why, with the traceback."""

    reason: str


class Finished(msgspec.Struct, frozen=True, array_like=True, tag="finished", gc=False):
    """Child to supervisor: how a call ended."""

    number: int
    outcome: Outcome


class Recalled(msgspec.Struct, frozen=True, array_like=True, tag="recalled"):
    """Child to supervisor: these had not begun and will not begin here."""

    numbers: list[int]


class Emitted(msgspec.Struct, frozen=True, array_like=True, tag="emitted"):
    """Child to supervisor: an entry for a task's stream."""

    id: str
    event: Event


UNANSWERED = 0
"""The number of an `Asked` whose answer nobody waits for."""


class Asked(msgspec.Struct, frozen=True, array_like=True, tag="asked"):
    """Child to supervisor: something a task wants from the engine."""

    number: int
    ask: Ask


class GivenUp(msgspec.Struct, frozen=True, array_like=True, tag="given_up"):
    """Child to supervisor: nobody waits for the answer to this ask any more."""

    number: int


class Aside(msgspec.Struct, frozen=True, array_like=True, tag="aside"):
    """Child to supervisor: this call waits for others and holds no slot meanwhile, or no longer."""

    number: int
    is_waiting: bool


class Blocked(msgspec.Struct, frozen=True, array_like=True, tag="blocked"):
    """Child to supervisor: the loop has not turned for so many seconds. Number 0: no call known."""

    number: int
    seconds: float
    stack: str
    is_over: bool = False


class Heavy(msgspec.Struct, frozen=True, array_like=True, tag="heavy"):
    """Child to supervisor: it has grown beyond its memory limit (bytes)."""

    memory: int


class Birth(msgspec.Struct, frozen=True, array_like=True):
    """Supervisor to template: make a child. Its socket and its page come with the frame, as two file descriptors."""

    name: int
    kind: str
    concurrency: int
    max_memory: int | None
    blocked_after: float


class Loaded(msgspec.Struct, frozen=True, array_like=True, tag="loaded"):
    """Template to supervisor: the app is imported."""

    manifest: Manifest


class LoadFailed(msgspec.Struct, frozen=True, array_like=True, tag="load_failed"):
    """Template to supervisor: the app cannot be imported; what the person who started the worker should read."""

    reason: str


class Born(msgspec.Struct, frozen=True, array_like=True, tag="born"):
    """Template to supervisor: the child runs as this process."""

    name: int
    pid: int


class Stillborn(msgspec.Struct, frozen=True, array_like=True, tag="stillborn"):
    """Template to supervisor: no process could be made."""

    name: int
    reason: str


class Exited(msgspec.Struct, frozen=True, array_like=True, tag="exited"):
    """Template to supervisor: the child is gone; `status` as `os.waitstatus_to_exitcode` gives it."""

    name: int
    status: int


Down = Begin | Recall | Cancel | Reply | Leave
Up = Ready | Unfit | Finished | Recalled | Emitted | Asked | GivenUp | Aside | Blocked | Heavy
FromTemplate = Loaded | LoadFailed | Born | Stillborn | Exited

_encoder = msgspec.msgpack.Encoder()
decode_down = msgspec.msgpack.Decoder(list[Down]).decode
decode_up = msgspec.msgpack.Decoder(list[Up]).decode
decode_births = msgspec.msgpack.Decoder(list[Birth]).decode
decode_from_template = msgspec.msgpack.Decoder(list[FromTemplate]).decode


def frame(items: object) -> bytes:
    """Items as one frame."""
    buffer = bytearray(4)
    _encoder.encode_into(items, buffer, 4)
    _length.pack_into(buffer, 0, len(buffer) - 4)
    return bytes(buffer)


class Frames:
    """Cuts a stream of bytes back into frames."""

    __slots__ = ("_have", "_need", "_parts")

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._have = self._need = 0

    def feed(self, data: bytes) -> Iterator[memoryview]:
        """The bodies of the frames that are complete now."""
        if self._parts:
            self._parts.append(data)
            self._have += len(data)
            if self._have < self._need:
                return  # a large frame in many pieces is put together once, at its end
            data = b"".join(self._parts)
            self._parts.clear()
        start, end, view = 0, len(data), memoryview(data)
        stop = 4
        while end - start >= 4:
            stop = start + 4 + _length.unpack_from(data, start)[0]
            if stop > end:
                break
            yield view[start + 4 : stop]
            start, stop = stop, stop + 4
        if start < end:
            self._parts.append(data[start:])
            self._have, self._need = end - start, stop - start
