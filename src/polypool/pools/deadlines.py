"""Deadlines: when which running call must be ended by force. Pure; the pool asks every 50 ms while there are any."""

import heapq
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from polypool.pools.member import Member


class Deadline(NamedTuple):
    """A call and when its patience ends (monotonic seconds). `timeout` is None where it was cancelled."""

    at: float
    order: int
    member: "Member"
    number: int
    timeout: float | None


class Deadlines:
    """A heap. Calls that ended in time stay in it until their time comes or they are the most of it."""

    __slots__ = ("_heap", "_order", "_sweep_at")

    def __init__(self) -> None:
        self._heap: list[Deadline] = []
        self._order = 0
        self._sweep_at = 10_000

    def __bool__(self) -> bool:
        return bool(self._heap)

    def add(self, at: float, member: "Member", number: int, timeout: float | None) -> None:
        self._order += 1
        heapq.heappush(self._heap, Deadline(at, self._order, member, number, timeout))
        if len(self._heap) > self._sweep_at:
            self._heap = [entry for entry in self._heap if entry.number in entry.member.held]
            heapq.heapify(self._heap)
            self._sweep_at = max(10_000, 2 * len(self._heap))

    def expired(self, now: float) -> list[Deadline]:
        """Take out those whose time has come and whose calls are still held."""
        found: list[Deadline] = []
        while self._heap and self._heap[0].at <= now:
            entry = heapq.heappop(self._heap)
            if entry.number in entry.member.held:
                found.append(entry)
        return found
