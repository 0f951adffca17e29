"""What is told of a task that was sent: its state and, once it has ended, its result or why there is none."""

from typing import Any

import msgspec

from polypool.conversation import Conversation
from polypool.core.event import Record
from polypool.core.lifecycle import State
from polypool.core.outcome import Failure
from polypool.outlet import Outlet
from polypool.rest.exchange import Reply
from polypool.results.reading import read_value
from polypool.values import Values


class Failed(msgspec.Struct, frozen=True):
    """Why there is no result: the exception's class and text, and never its traceback."""

    type: str
    message: str


class Document(msgspec.Struct, frozen=True):
    """What GET answers, and what a stream of events ends with."""

    id: str
    task: str
    status: State
    result: Any = msgspec.UNSET
    error: Failed | msgspec.UnsetType = msgspec.UNSET
    ended_at: float | msgspec.UnsetType = msgspec.UNSET
    """Unix time."""

    def reply(self, status: int, location: str | None = None) -> Reply:
        headers = {"cache-control": "no-store"} | ({} if location is None else {"location": location})
        return Reply(status, encoded(self), headers, "application/json")


def document_of(record: Record, outlet: Outlet) -> Conversation[Document]:
    """PolypoolError where the result stood in other tasks' records and is not there any more."""
    if not record.state.is_final:
        return Document(record.id, record.task, record.state)
    ended_at = msgspec.UNSET if record.ended_at is None else record.ended_at
    if record.state is State.SUCCEEDED:
        value = yield from read_value(record, outlet)
        return Document(record.id, record.task, record.state, value, ended_at=ended_at)
    why = record.failure or Failure("", "nothing is known of why")
    error = Failed(why.type, why.message)
    return Document(record.id, record.task, record.state, error=error, ended_at=ended_at)


def encoded(value: Any) -> bytes:
    """As JSON; as text what has no such form, such as a dict whose keys are lists."""
    try:
        return msgspec.json.encode(value, enc_hook=_plain)
    except (TypeError, ValueError):
        if isinstance(value, Document):
            return msgspec.json.encode(msgspec.structs.replace(value, result=str(value.result)))
        return msgspec.json.encode(str(value))


def _plain(value: Any) -> Any:
    if isinstance(value, Values):
        return list(value)
    raise TypeError(f"a {type(value).__name__} has no form in JSON")
