"""What the memory engine keeps of one message and of one worker."""

from dataclasses import dataclass, field

from polypool.core.event import Event, Record
from polypool.core.lifecycle import State
from polypool.core.message import Delivery, Lane, Message
from polypool.core.report import Heartbeat, Search, TaskView

EVENTS_KEPT = 1000
"""Per task; the oldest go first."""


@dataclass(eq=False)
class Entry:
    """One message's whole life."""

    seq: int
    body: bytes
    message: Message
    lane: Lane
    state: State
    due: float
    defect: str | None = None
    token: int = 0
    deliveries: int = 0
    worker: str | None = None
    is_parked: bool = False
    """Queued, but carried by another engine: in no line."""
    guard: float | None = None
    """When a parked one that nobody confirmed goes to its lane."""
    has_copies: bool = False
    """Was parked once, so the other engine may bring it at any time."""
    places: int | None = None
    """Of a step that waits for others: how many places it waits for, OPEN where that is not known."""
    marked: set[int] = field(default_factory=set)
    cause: bytes | None = None
    """Why such a step is only to be ended."""
    is_cancelled: bool = False
    ending: Record | None = None
    keep_until: float | None = None
    reason: str | None = None
    """Why it is in the dead letters."""
    keeps_body: bool = False
    events: dict[tuple[int, int], Event] = field(default_factory=dict)
    trimmed: tuple[int, int] = (0, 0)
    """Events up to here are no longer kept."""

    @property
    def id(self) -> str:
        return self.message.id

    @property
    def attempt(self) -> int:
        return self.message.attempt + max(self.deliveries - 1, 0)

    @property
    def is_waiting(self) -> bool:
        """Whether it waits for other steps."""
        return self.state is State.SCHEDULED and self.places is not None

    @property
    def is_for_later(self) -> bool:
        """Whether it waits for its time."""
        return self.state is State.SCHEDULED and self.places is None

    @property
    def is_in_line(self) -> bool:
        return self.state is State.QUEUED and not self.is_parked

    def is_of(self, delivery: Delivery) -> bool:
        """Whether this delivery still holds it."""
        return self.state is State.RUNNING and (self.seq, self.token) == (delivery.handle, delivery.token)

    def matches(self, search: Search) -> bool:
        return (
            (search.ids is None or self.id in search.ids)
            and (search.queue is None or self.lane.queue == search.queue)
            and (search.task is None or self.message.task == search.task)
            and (search.state is None or self.state is search.state)
            and (not search.dead or self.reason is not None)
        )

    def delivery(self, now: float) -> Delivery:
        return Delivery(
            self.message,
            self.body,
            self.token,
            self.deliveries,
            now,
            self.seq,
            self.is_cancelled,
            self.defect,
            self.cause,
        )

    def append(self, event: Event) -> None:
        """To its stream."""
        if (event.run, event.number) <= self.trimmed:
            return
        self.events.setdefault((event.run, event.number), event)
        if len(self.events) > EVENTS_KEPT:
            self.trimmed = min(self.events)
            del self.events[self.trimmed]

    def record(self) -> Record:
        return self.ending or Record(self.id, self.state, self.message.task)

    def view(self) -> TaskView:
        message = self.message
        return TaskView(
            self.id,
            message.task,
            self.state,
            self.lane.queue,
            self.lane.pool,
            message.priority,
            self.attempt,
            message.sent_at,
            due=None if self.state.is_final or self.is_waiting else self.due,
            worker=self.worker,
            reason=self.reason,
            args=message.args if self.ending is None or self.reason is not None else b"",
            ended_at=self.ending.ended_at if self.ending else None,
            flow=message.flow if self.ending is None or self.keeps_body else None,
            root=message.root,
        )


@dataclass
class Member:
    """A worker as the engine knows it."""

    heartbeat: Heartbeat
    seen_at: float
    is_dead: bool = False
    told: frozenset[str] = frozenset()
    """Ids it has been ordered to cancel."""

    def is_alive(self, now: float) -> bool:
        return not self.is_dead and now < self.seen_at + self.heartbeat.lease
