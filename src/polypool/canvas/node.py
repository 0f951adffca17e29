"""Node: a part of a workflow and what became of it. What `polypool workflow show` draws, and prints as JSON.

Unix times and seconds. None is what is not known, or has not come to pass.
"""

from typing import Literal

import msgspec

from polypool.core.lifecycle import State

Kind = Literal["task", "chain", "group"]
Role = Literal["step", "member", "success", "failure", "returned"]


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """`queued` and `running` are of the step itself; of a chain or group of those steps one after the other that it
    took longest for, which begins with `ready` and ends with `ended`."""

    id: str
    kind: Kind
    role: Role = "step"
    """`success` and `failure`: a callback. `returned`: the workflow that the run of the step above it returned."""
    name: str | None = None
    """What others in its group wait for it by."""
    task: str | None = None
    state: State | Literal["unknown"] = "unknown"
    """`unknown`: it has not been sent yet, its record is no longer kept, or (after a retry) was taken over."""
    ready: float | None = None
    """When the last one that it waited for had ended, and its countdown was over."""
    started: float | None = None
    ended: float | None = None
    queued: float | None = None
    running: float | None = None
    run: int = 1
    """Number of its last run, of which the times are; `queued` is until that one began."""
    taken_from: str | None = None
    """In a retry: the step of the earlier workflow whose result was taken over; this one did not run."""
    error: str | None = None
    """How it failed, if it was it that failed."""
    because: str | None = None
    """The step because of which it was not run."""
    count: int | None = None
    """Of a group: its members."""
    counts: dict[str, int] = {}
    """Of a group: how many members are in which state."""
    work: float | None = None
    """Seconds of all runs in it, as far as they have ended."""
    is_folded: bool = False
    """Of a group: only those members stand in `children` that tell most."""
    stands_out: tuple[str, ...] = ()
    """Of a member of such a group: why it is there."""
    children: tuple["Node", ...] = ()


class Tree(msgspec.Struct, frozen=True, kw_only=True):
    """A workflow now. `path`: the ids of the steps, one after the other, that it took longest for; where time can be
    won. `queued`, `running` and `waiting` (for a countdown, an eta) are the seconds along it."""

    workflow: str
    at: float
    sent: float | None
    root: Node
    path: tuple[str, ...] = ()
    queued: float = 0.0
    running: float = 0.0
    waiting: float = 0.0
    total: float | None = None
    """From when it was sent until it ended, or until now."""


class Fold:
    """What is kept of a group too large to show: the members' states, and which of them tell most."""

    def __init__(self) -> None:
        self.count = 0
        self.counts: dict[str, int] = {}
        self.work = 0.0
        self.slowest: tuple[float, int] | None = None
        self.last: tuple[float, int] | None = None
        self.first_failed: int | None = None
        self.first_unended: int | None = None

    def add(
        self, index: int, state: State | None, wall: float | None, ended: float | None, failed_itself: bool
    ) -> None:
        """One more member."""
        self.count += 1
        named = "unknown" if state is None else state.value
        self.counts[named] = self.counts.get(named, 0) + 1
        if wall is not None:
            self.work += wall
            self.slowest = max(self.slowest or (-1.0, 0), (wall, index), key=lambda one: one[0])
        if ended is not None:
            self.last = max(self.last or (-1.0, 0), (ended, index), key=lambda one: one[0])
        if failed_itself and self.first_failed is None:
            self.first_failed = index
        if state in (State.RUNNING, State.QUEUED, State.SCHEDULED) and self.first_unended is None:
            self.first_unended = index

    def picks(self) -> dict[int, tuple[str, ...]]:
        """Indexes of the members that tell most, in order, and what each of them tells."""
        found: dict[int, tuple[str, ...]] = {}
        slowest, last = (None if one is None else one[1] for one in (self.slowest, self.last))
        named = {
            "the first that failed": self.first_failed,
            "the first that has not ended": self.first_unended,
            "the slowest": slowest,
            "the last to end": last,
        }
        for why, index in named.items():
            if index is not None:
                found[index] = (*found.get(index, ()), why)
        return dict(sorted(found.items()))
