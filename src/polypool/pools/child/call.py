"""Call: what a pool runs. The child's side of one delivery, and what `current` shows of it."""

import time
from itertools import count
from typing import Any

from polypool.core.ask import Spend
from polypool.core.codec import encode
from polypool.core.error import MessageTooLarge, NotEncodable
from polypool.core.event import Event, Kind
from polypool.core.message import LARGEST_BYTES, Message
from polypool.core.port import Runnable
from polypool.core.running import Sendable
from polypool.pools.child.outbox import Outbox
from polypool.pools.child.waiting import Slots
from polypool.pools.wire import UNANSWERED, Aside, Asked, Emitted


class Call:
    """Satisfies `core.running.Running`."""

    __slots__ = (
        "_numbers",
        "_outbox",
        "attempt",
        "begun_at",
        "handle",
        "interruption",
        "is_cancelled",
        "is_open",
        "is_plain",
        "keeps",
        "message",
        "number",
        "pending",
        "run",
        "runnable",
        "slots",
        "state",
        "waits",
        "was_interrupted",
    )

    def __init__(
        self, number: int, run: int, deliveries: int, message: Message, runnable: Runnable, outbox: Outbox
    ) -> None:
        self.number = number
        self.run = run
        self.message = message
        self.attempt = message.attempt + deliveries - 1
        self.runnable = runnable
        self.state: Any = None
        self.begun_at = 0.0
        """Monotonic seconds."""
        self.handle: Any = None
        """What runs it: a task, a greenlet or a thread's number."""
        self.is_open = False
        """User code runs now, so an exception may be raised in it."""
        self.pending: BaseException | None = None
        """To be raised in it as soon as that can be."""
        self.interruption: BaseException | None = None
        """What was raised in it from outside, last."""
        self.is_cancelled = False
        self.was_interrupted = False
        self.keeps: Any = None
        """What must live as long as the call does."""
        self.is_plain = (
            message.each is None and (message.flow is None or not message.flow.inputs) and message.charges is not None
        )
        """Whether its function is simply called with the message's own arguments."""
        self.slots: Slots | None = None
        """Where it may step aside while it waits for other tasks; None where it cannot."""
        self.waits = 0
        """For how many endings, or sets of them, it waits at once."""
        self._outbox = outbox
        self._numbers: count[int] | None = None

    def progress(self, done: float, total: float | None, note: str) -> None:
        self._tell("progress", [done, total, note])

    def emit(self, data: Any) -> None:
        self._tell("emit", data)

    def stream(self, item: Any) -> int:
        """Emit what the task yielded; its size in bytes."""
        if isinstance(item, Sendable):
            raise NotEncodable(
                f"{self.message.task} yielded a workflow ({type(item).__qualname__}); one can only be returned, and a "
                "generator sends others by `.delay()`"
            )
        return self._tell("emit", item)

    def announce(self) -> None:
        """Tell watchers of a further run that it begins, if they have not been told."""
        if self._numbers is None:
            self._numbers = count(1)
            if self.attempt > 1:
                self._put("started", encode(self.attempt))

    def spend(self, key: str, used: float) -> None:
        self._outbox.put(Asked(UNANSWERED, Spend(self.message.id, self.run, key, used)))

    def interrupt(self, error: BaseException, is_cancel: bool) -> None:
        """Note what is to be raised in it."""
        self.pending = error
        self.is_cancelled = self.is_cancelled or is_cancel

    def raise_pending(self) -> None:
        """Raise what it was interrupted with, once."""
        error, self.pending = self.pending, None
        if error is not None:
            self.interruption = error
            raise error

    def tell_aside(self, is_waiting: bool) -> None:
        """Let the supervisor know whether it holds a slot."""
        self._outbox.put(Aside(self.number, is_waiting))

    def _tell(self, kind: Kind, data: Any) -> int:
        try:
            body = encode(data)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise NotEncodable(f"{kind} got a value with no MessagePack form: {error}") from None
        if len(body) > LARGEST_BYTES:
            raise MessageTooLarge(
                f"{kind} got {len(body):,} bytes and an event may have {LARGEST_BYTES:,} (16 MiB): store the data "
                "elsewhere and tell where it is"
            )
        self.announce()
        self._put(kind, body)
        return len(body)

    def _put(self, kind: Kind, data: bytes) -> None:
        assert self._numbers is not None
        event = Event(self.run, next(self._numbers), kind, data, time.time())
        self._outbox.put(Emitted(self.message.id, event))
