"""Quarantine: runs a call that may be the killer of its process alone, in a child of its own.

When a child with hundreds of calls dies, nobody can say whose fault it was, so all are counted as lost. One that
has its last chance shares no process any more: if the next child dies too, it is the culprit, and its neighbours,
alone as well, come through.
"""

from collections import deque
from collections.abc import Callable, Iterable

from polypool.core.error import ConfigurationError
from polypool.core.message import Delivery
from polypool.core.outcome import Cancelled, Deferred, Outcome
from polypool.core.pool_port import PoolWatcher
from polypool.pools.member import Member, Size
from polypool.pools.template import Template

AT_ONCE = 4


def is_last_chance(delivery: Delivery) -> bool:
    """Whether one more lost run sends it to the dead letters."""
    return delivery.deliveries > 1 and delivery.deliveries >= delivery.message.policy.max_lost


class Quarantine:
    """A queue of calls, and up to `AT_ONCE` children with one call each."""

    def __init__(
        self,
        size: Size,
        watcher: PoolWatcher,
        template: Callable[[], Template | None],
        begin: Callable[[Member, Delivery], None],
        finished: Callable[[Member, Delivery, Outcome], None],
    ) -> None:
        self.members: list[Member] = []
        self._size = size
        self._watcher = watcher
        self._template = template
        self._begin = begin
        self._finished = finished
        self._waiting: deque[Delivery] = deque()
        self._given: dict[Member, Delivery] = {}

    def __len__(self) -> int:
        """How many wait for a child of their own."""
        return len(self._waiting)

    def add(self, deliveries: Iterable[Delivery]) -> None:
        self._waiting.extend(deliveries)
        self._next()

    def cancel(self, id: str) -> None:
        """End one that waits."""
        for delivery in [delivery for delivery in self._waiting if delivery.id == id]:
            self._waiting.remove(delivery)
            self._watcher.ended(delivery, Cancelled("cancelled before it began"))

    def stop(self) -> None:
        """Give back what waits; what runs may end."""
        waiting, self._waiting = self._waiting, deque()
        for delivery in waiting:
            self._watcher.ended(delivery, Deferred())
        for member in self.members:
            member.leave()

    def became_ready(self, member: Member) -> None:
        delivery = self._given.pop(member, None)
        if delivery is not None:
            self._begin(member, delivery)
        member.leave()

    def finished(self, member: Member, delivery: Delivery, outcome: Outcome) -> None:
        self._finished(member, delivery, outcome)

    def returned(self, member: Member, deliveries: list[Delivery]) -> None:
        for delivery in deliveries:
            self._watcher.ended(delivery, Deferred())

    def heard(self, member: Member) -> None:
        pass

    def has_room(self, member: Member) -> None:
        pass  # its child is for this one call

    def heavy(self, member: Member, memory: int) -> None:
        pass

    def gone(self, member: Member, reason: str) -> None:
        self.members.remove(member)
        delivery = self._given.pop(member, None)
        if delivery is not None:
            self._watcher.ended(delivery, Deferred())
        self._next()

    def _next(self) -> None:
        while self._waiting and len(self.members) < AT_ONCE:
            delivery = self._waiting.popleft()
            template = self._template()
            try:
                if template is None:
                    raise ConfigurationError("the template process is being replaced")
                member = Member(template, self._size, self, self._watcher)
            except (ConfigurationError, OSError):
                self._watcher.ended(delivery, Deferred())
                continue
            self.members.append(member)
            self._given[member] = delivery
