"""Pool: calls run in N children of one kind. Decides which child gets which call, and when one is ended by force."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence

import msgspec

from polypool.core.message import Delivery
from polypool.core.outcome import Cancelled, Deferred, Outcome, TimedOut, Usage
from polypool.core.pool_port import PoolWatcher
from polypool.core.report import PoolReport
from polypool.core.settings import PoolSpec
from polypool.pools.deadlines import Deadline, Deadlines
from polypool.pools.member import Member, Size, Stage
from polypool.pools.memory import pss
from polypool.pools.pace import Pace, ahead
from polypool.pools.pulse import Pulse
from polypool.pools.quarantine import Quarantine, is_last_chance
from polypool.pools.staff import Staff
from polypool.pools.template import Template

TICK = 0.05
IDLE_HANDS = 0.1
"""A child that told nothing for so long gives back what it had not begun."""
CANCEL_PATIENCE = 2.0
"""How long a cancelled call may take to end before its child is killed."""


class Limits(msgspec.Struct, frozen=True):
    """When a child is replaced, and when its loop counts as blocked. Bytes and seconds."""

    max_tasks_per_child: int | None = None
    max_memory_per_child: int | None = None
    blocked_after: float = 1.0


class ChildPool:
    """Satisfies `core.pool_port.Pool`. All methods are called on the supervisor's loop."""

    def __init__(
        self,
        spec: PoolSpec,
        watcher: PoolWatcher,
        limits: Limits,
        template: Callable[[], Template | None],
        on_free: Callable[[], None] | None = None,
    ) -> None:
        self.kind = spec.kind
        self._spec = spec
        self._watcher = watcher
        self._most_tasks = limits.max_tasks_per_child
        self._on_free = on_free
        self._loop = asyncio.get_running_loop()
        size = Size(spec.kind, spec.concurrency, limits.max_memory_per_child, limits.blocked_after)
        alone = msgspec.structs.replace(size, concurrency=1)
        self._staff = Staff(spec.children, size, self, watcher, template)
        self._quarantine = Quarantine(alone, watcher, template, self._begin, self._end)
        self._waiting: deque[Delivery] = deque()
        self._moved_at = 0.0
        self._pace = Pace()
        self._deadlines = Deadlines()
        self._pulse = Pulse(self._all_members, limits.blocked_after)
        self._is_ticking = False
        self._is_stopping = False

    def start(self) -> None:
        """Start the children."""
        self._staff.start()

    async def ready(self, timeout: float | None = None) -> None:
        """Wait for the first child that can run calls. ConfigurationError tells why one could not start."""
        await asyncio.wait_for(asyncio.shield(self._staff.first_ready), timeout)

    def free(self) -> int:
        """How many more calls it can take now: free slots, and about 50 ms of measured work ahead.

        What is held ahead is filled up once half of it is used, so that short work is taken in batches at any rate.
        """
        if self._is_stopping:
            return 0
        concurrency = self._spec.concurrency
        room = concurrency + self._pace.allowance(concurrency)
        ready = self._staff.ready
        free = sum(max(0, room - member.busy) for member in ready) - len(self._waiting) - len(self._quarantine)
        ahead_by_half = (room - concurrency) * len(ready) // 2
        if free <= ahead_by_half and all(member.free <= 0 for member in ready):
            return 0  # every slot is busy, with work at hand: ask for several at once, a little later
        return max(0, free)

    def run(self, deliveries: Sequence[Delivery]) -> None:
        """Begin calls; each ends with `PoolWatcher.ended`."""
        if self._is_stopping:
            for delivery in deliveries:
                self._watcher.ended(delivery, Deferred())
            return
        if self._spec.concurrency > 1 and any(map(is_last_chance, deliveries)):
            self._quarantine.add(filter(is_last_chance, deliveries))
            deliveries = [delivery for delivery in deliveries if not is_last_chance(delivery)]
        self._wait(deliveries)

    def cancel(self, id: str) -> None:
        """End a call early: its outcome is Cancelled, or how it ended meanwhile."""
        for delivery in [delivery for delivery in self._waiting if delivery.id == id]:
            self._waiting.remove(delivery)
            self._watcher.ended(delivery, Cancelled("cancelled before it began"))
        self._quarantine.cancel(id)
        by = time.monotonic() + CANCEL_PATIENCE
        for member in self._all_members():
            for number in [number for number, delivery in member.held.items() if delivery.id == id]:
                member.cancel(number)
                self._watch(by, member, number, None)

    def report(self) -> PoolReport:
        """What it looks like now; `memory` is not filled in."""
        running = sum(member.running for member in self._all_members())
        return PoolReport(self.kind, len(self.pids()), self._spec.slots, running)

    async def memory(self) -> int | None:
        """PSS of the children in bytes; None where the system does not tell."""
        return await asyncio.to_thread(pss, self.pids())

    def pids(self) -> list[int]:
        return [member.pid for member in self._all_members() if member.pid is not None]

    def roll(self, grace: float) -> None:
        """Exchange children for ones of the crew's new template; the old ones drain for up to `grace` seconds each."""
        self._staff.roll(grace)

    async def stop(self, grace: float) -> None:
        """Let running calls end for `grace` seconds, give the rest back, end the children. Again with less: sooner."""
        self._is_stopping = True
        self._give_back()
        self._quarantine.stop()
        self._staff.stop()
        members = self._all_members()
        if not members:
            return
        exits = [member.exited for member in members]
        await asyncio.wait(exits, timeout=grace)
        for member in members:
            member.kill({})
        await asyncio.wait(exits)

    # What members tell (`member.Home`).

    def became_ready(self, member: Member) -> None:
        self._staff.became_ready(member)
        self._dispatch()
        if self._on_free is not None:
            self._on_free()

    def finished(self, member: Member, delivery: Delivery, outcome: Outcome) -> None:
        self._end(member, delivery, outcome)

    def returned(self, member: Member, deliveries: Sequence[Delivery]) -> None:
        if self._is_stopping:
            for delivery in deliveries:
                self._watcher.ended(delivery, Deferred())
        else:
            self._wait(deliveries)

    def heard(self, member: Member) -> None:
        if self._waiting:
            self._dispatch()

    def has_room(self, member: Member) -> None:
        self._dispatch()
        if self._on_free is not None:
            self._on_free()

    def heavy(self, member: Member, memory: int) -> None:
        if member.stage is Stage.READY:
            self._staff.let_go(member)

    def gone(self, member: Member, reason: str) -> None:
        self._staff.gone(member, reason)
        self._dispatch()

    # Which child gets which call.

    def _wait(self, deliveries: Sequence[Delivery]) -> None:
        if not self._waiting:
            self._moved_at = time.monotonic()
        self._waiting.extend(deliveries)
        self._dispatch()

    def _dispatch(self) -> None:
        waiting, ready = self._waiting, self._staff.ready
        while waiting and ready:
            member = ready[0] if len(ready) == 1 else max(ready, key=_free)
            if not self._takes(member, waiting[0]):
                break
            self._moved_at = time.monotonic()
            self._begin(member, waiting.popleft())
        if waiting:
            self._tick_soon()

    def _takes(self, member: Member, delivery: Delivery) -> bool:
        """A slot is free, or it is short work that may stand ahead of one."""
        free = member.free
        if free > 0:
            return True
        message = delivery.message
        if message.policy.timeout is not None or member.is_recalling:
            return False
        wall = self._pace.expected(message.task)
        return -free < min(ahead(wall, member.size.concurrency), self._pace.allowance(member.size.concurrency))

    def _begin(self, member: Member, delivery: Delivery) -> None:
        is_ahead = member.free <= 0
        number = member.begin(delivery)
        self._pulse.notice()
        timeout = delivery.message.policy.timeout
        if timeout is not None:
            self._watch(time.monotonic() + timeout, member, number, timeout)
        elif is_ahead:
            self._tick_soon()
        if member.begun_count == self._most_tasks:
            self._staff.let_go(member, recalls=False)

    def _end(self, member: Member, delivery: Delivery, outcome: Outcome) -> None:
        usage: Usage | None = getattr(outcome, "usage", None)
        if usage is not None:
            self._pace.measured(delivery.message.task, usage.wall)
        self._watcher.ended(delivery, outcome)

    def _give_back(self) -> None:
        waiting, self._waiting = self._waiting, deque()
        for delivery in waiting:
            self._watcher.ended(delivery, Deferred())

    def _all_members(self) -> list[Member]:
        return [*self._staff.members, *self._quarantine.members]

    # What is looked after every 50 ms while there is something to look after.

    def _watch(self, at: float, member: Member, number: int, timeout: float | None) -> None:
        self._deadlines.add(at, member, number, timeout)
        self._tick_soon()

    def _tick_soon(self) -> None:
        if not self._is_ticking:
            self._is_ticking = True
            self._loop.call_later(TICK, self._tick)

    def _tick(self) -> None:
        self._is_ticking = False
        now = time.monotonic()
        for deadline in self._deadlines.expired(now):
            self._expire(deadline, now)
        holds_ahead = False
        for member in self._staff.ready:
            if member.free < 0:
                holds_ahead = True
                if not member.is_recalling and now - member.last_news > IDLE_HANDS:
                    member.recall()
        if self._waiting and now - self._moved_at > IDLE_HANDS:
            # Taken in the belief that it is short work: another worker may have a slot for it.
            self._pace.forget_mix()
            self._give_back()
        if self._deadlines or holds_ahead or self._waiting:
            self._tick_soon()

    def _expire(self, deadline: Deadline, now: float) -> None:
        _, _, member, number, timeout = deadline
        if member.stage in (Stage.DOOMED, Stage.GONE):
            return
        if timeout is None:
            if member.has_begun(number):
                member.kill({number: Cancelled("cancelled; it did not end by itself, so its process was killed")})
            else:
                self._watcher.ended(member.held.pop(number), Cancelled("cancelled before it began"))
        elif member.has_begun(number):
            usage = Usage(time.time() - timeout, timeout)
            member.kill({number: TimedOut(timeout, usage)})
        else:
            # Its child is busy with something else; its own time has not begun.
            self._watch(now + timeout, member, number, timeout)


def _free(member: Member) -> int:
    return member.free
