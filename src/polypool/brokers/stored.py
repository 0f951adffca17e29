"""What every engine stores in the same form: bodies of messages, and endings beside their state."""

from collections.abc import Sequence
from typing import Any

import msgspec

from polypool.core.codec import decode_message, encode
from polypool.core.error import MessageTooLarge
from polypool.core.event import Record
from polypool.core.lifecycle import State
from polypool.core.message import Message
from polypool.core.outcome import Failure, Usage
from polypool.core.port import Traits
from polypool.core.report import TaskView

COPIES_REMEMBERED = 86_400.0
"""Seconds for which an id is known that was cancelled or purged while another engine carried copies of it."""


class Ending(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is kept of a message that ended, beside its state."""

    value: bytes | None
    failure: Failure | None
    ended_at: float
    usage: Usage | None
    attempt: int
    sent_at: float
    root: str | None = None


decode_ending = msgspec.msgpack.Decoder(Ending).decode


def record(id: str, state: str, task: str, is_dead: bool, ending: bytes | None) -> Record:
    """A task as its waiters see it."""
    if not ending:
        return Record(id, State(state), task)
    kept = decode_ending(ending)
    return Record(id, State(state), task, kept.value, kept.failure, kept.ended_at, kept.usage, is_dead)


def view(row: tuple[Any, ...]) -> TaskView:
    """A row of `find.sql` as a person looks at it."""
    _, id, task, state, queue, pool, priority, due, deliveries, worker, reason, ending, body = row
    kept = decode_ending(ending) if ending else None
    message = decode_message(body, id)[0] if body else None
    # Of what ended in order the body may be there still. Its part in a workflow is shown if it is to be kept, the rest
    # is nobody's business any more.
    flow, root = (message.flow, message.root) if message else (None, kept.root if kept else None)
    if message and kept and reason is None:
        flow, message = (flow if flow and flow.keeps_body else None), None
    attempt = kept.attempt if kept else (message.attempt if message else 1) + max(deliveries - 1, 0)
    return TaskView(
        id,
        task,
        State(state),
        queue,
        pool,
        priority,
        attempt,
        sent_at=kept.sent_at if kept else (message.sent_at if message else 0.0),
        due=None if kept else due,
        worker=worker,
        reason=reason,
        args=message.args if message else b"",
        ended_at=kept.ended_at if kept else None,
        flow=flow,
        root=root,
    )


def encoded(messages: Sequence[Message], traits: Traits) -> list[bytes]:
    """Each message's body. MessageTooLarge where one is."""
    bodies = [encode(message) for message in messages]
    for message, body in zip(messages, bodies, strict=True):
        if len(body) > traits.max_message_bytes:
            raise MessageTooLarge(
                f"{message.task} {message.id} is {len(body):,} bytes and this engine takes "
                f"{traits.max_message_bytes:,}, nothing was sent; store the data elsewhere and send where it is"
            )
    return bodies
