"""Ask: what a process wants from the engine, as a value.

A client process hands an Ask to its own engine; a child sends it up its socket and the supervisor hands it
to the worker's engine. One vocabulary, answered in one place (`brokers/answer.py`).
"""

import msgspec

from polypool.core.event import Page, Record
from polypool.core.message import Message
from polypool.core.report import Search, TaskView


class Put(msgspec.Struct, frozen=True, array_like=True, tag="put"):
    """Send messages. Answered with a bool each: False where that id is already there."""

    messages: list[Message]


class Read(msgspec.Struct, frozen=True, array_like=True, tag="read"):
    """Read what is known now. Answered with a Record or None each, in order."""

    ids: list[str]


class Await(msgspec.Struct, frozen=True, array_like=True, tag="await"):
    """Wait until at least one has ended or `wait` seconds passed. Answered with the Records of those that ended, and
    None-free: an unknown id is left out."""

    ids: list[str]
    wait: float


class Follow(msgspec.Struct, frozen=True, array_like=True, tag="follow"):
    """Read a task's stream after a cursor (an event's id; None: from its beginning), waiting up to `wait` seconds for
    something to come. Answered with a Page."""

    id: str
    after: str | None
    wait: float


class Cancel(msgspec.Struct, frozen=True, array_like=True, tag="cancel"):
    """Cancel. Answered with a bool each: False where it had already ended or is unknown."""

    ids: list[str]


class Seal(msgspec.Struct, frozen=True, array_like=True, tag="seal"):
    """Say for how many places a step waits that was put with an open number. Answered with a bool: False where it
    waits no longer or is unknown."""

    id: str
    places: int


class Find(msgspec.Struct, frozen=True, array_like=True, tag="find"):
    """Look at messages as people do. Answered with TaskViews."""

    search: Search


class Written(msgspec.Struct, frozen=True, array_like=True, tag="written"):
    """Asked by a child: wait until the engine has all events that it told its supervisor before this. Answered with
    True."""


class Spend(msgspec.Struct, frozen=True, array_like=True, tag="spend"):
    """Of the run `token` of this task: so much more of a limit was used in truth. A worker answers it, with a bool:
    False where it does not hold that run."""

    id: str
    token: int
    key: str
    used: float


Ask = Put | Read | Await | Follow | Cancel | Seal | Find | Written | Spend
Reply = list[bool] | list[Record | None] | list[Record] | Page | bool | list[TaskView]

REPLY_TYPES: dict[type[Ask], object] = {
    Put: list[bool],
    Read: list[Record | None],
    Await: list[Record],
    Follow: Page,
    Cancel: list[bool],
    Seal: bool,
    Find: list[TaskView],
    Written: bool,
    Spend: bool,
}
"""What each Ask is answered with, for the decoder at the other end of a socket."""
