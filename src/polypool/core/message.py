"""Message and Delivery: what waits in the broker, and what a worker holds under a lease.

Both travel as MessagePack arrays. A field is only ever appended, with a default: an older
release then ignores it and a newer one fills it in, so workers of two releases can share an engine.
"""

from typing import Literal, NamedTuple

import msgspec

from polypool.core.join import Flow
from polypool.core.ledger import Charge

DEFAULT_QUEUE = "default"
DEFAULT_RESULT_TTL = 86_400.0
LARGEST_BYTES = 16 * 1024 * 1024
"""Of a message, a result or an event, as MessagePack. Every engine takes so much."""
LOWEST_PRIORITY, HIGHEST_PRIORITY = -100, 100


class Lane(NamedTuple):
    """Where a message waits: a queue has one lane for each pool kind."""

    queue: str
    pool: str


class Policy(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How a message is run and ended. Times in seconds."""

    timeout: float | None = None
    """Hard limit of one run: the child process is killed."""
    soft_timeout: float | None = None
    """SoftTimeout is raised inside the task."""
    max_retries: int = 3
    retry_backoff: float = 1.0
    """Wait before the first retry; doubles with each one."""
    retry_backoff_max: float = 600.0
    retry_jitter: bool = True
    result_ttl: float = DEFAULT_RESULT_TTL
    """How long the ending is kept; 0 keeps nothing."""
    max_lost: int = 3
    """Runs that may die with their process before the message goes to the dead letters."""
    retries_timeout: bool = False
    """Whether `autoretry_for` covers the hard timeout (the child that knew the classes is dead by then)."""


class Message(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One request to run a task. `due`, `expires` and `sent_at` are Unix times in seconds."""

    id: str
    task: str
    args: bytes
    """MessagePack of `[positional, keyword]`; only sender and child look inside."""
    queue: str = DEFAULT_QUEUE
    pool: str = "threads"
    priority: int = 0
    """Higher goes first within a lane."""
    sent_at: float = 0.0
    due: float | None = None
    expires: float | None = None
    attempt: int = 1
    """Number of the first run of this message in this form; a retry raises it by the runs used up."""
    retries: int = 0
    policy: Policy = Policy()
    parent: str | None = None
    root: str | None = None
    headers: dict[str, str] | None = None
    flow: Flow | None = None
    """Its part in a workflow, if it is a step of one."""
    each: Literal["item", "tuple"] | None = None
    """A chunk: the one argument is a list, and the task runs for each item (or with each tuple's values) in it, one
    after the other; the result is the list of theirs."""
    charges: tuple[Charge, ...] | None = ()
    """What a run is charged by the limits of its task, before it may begin. None: that depends on arguments which its
    sender did not know; a child finds out."""

    @property
    def is_waiting(self) -> bool:
        """Whether it is put to wait for other steps."""
        return self.flow is not None and self.flow.waits != 0

    @property
    def due_when_ready(self) -> float:
        """When it may run once nothing keeps it waiting: a Unix time or, negative, so many seconds from then."""
        if self.due is not None:
            return self.due
        return -self.flow.countdown if self.flow is not None else 0.0

    @property
    def lane(self) -> Lane:
        return Lane(self.queue, self.pool)


class Delivery(msgspec.Struct, frozen=True):
    """A message held by one worker under a lease.

    `token` rises with every take of the message and fences it: a settlement with an older one writes
    nothing. `deliveries` counts the takes, this one included, that did not end in order.
    """

    message: Message
    body: bytes
    """The message as stored; what a child is sent."""
    token: int
    deliveries: int
    taken_at: float
    handle: int = 0
    """The engine's own short name for the message, such as a row id."""
    is_cancelled: bool = False
    """Somebody asked to cancel it while an earlier worker held it."""
    defect: str | None = None
    """Why the body could not be decoded; `message` is then only a label."""
    cause: bytes | None = None
    """Why it is only to be ended: a step that it waited for ended otherwise. A `core.outcome.Cause`, encoded."""

    @property
    def id(self) -> str:
        return self.message.id

    @property
    def attempt(self) -> int:
        """Number of this run, counted from 1 over retries and lost runs."""
        return self.message.attempt + self.deliveries - 1
