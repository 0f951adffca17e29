"""What workers and engines report: a worker's heartbeat, and what an engine is asked to find."""

from typing import Literal

import msgspec

from polypool.core.join import Flow
from polypool.core.lifecycle import State
from polypool.core.measure import Tally


class PoolReport(msgspec.Struct, frozen=True, array_like=True):
    """One pool of a worker, now. `memory` is the PSS of its children in bytes, None where unknown."""

    kind: str
    children: int
    slots: int
    running: int
    memory: int | None = None


class Heartbeat(msgspec.Struct, frozen=True, array_like=True):
    """A worker's sign of life. It holds its deliveries until `lease` seconds pass without another one."""

    worker: str
    host: str
    pid: int
    started_at: float
    lease: float
    app: str = ""
    queues: tuple[str, ...] = ()
    pools: tuple[PoolReport, ...] = ()
    tallies: tuple[Tally, ...] = ()
    """What was measured since the last heartbeat that arrived; the engine adds it up."""
    is_leaving: bool = False
    """The last one: the worker has settled all it held."""
    report: int = 0
    """Number of what `tallies` says, rising; the same again where an answer got lost, to be added up once. 0: none."""


class Orders(msgspec.Struct, frozen=True):
    """The engine's answer to a heartbeat.

    `is_fenced`: the worker had been silent too long and others hold its deliveries now; it must end their runs.
    `cancel`: ids of deliveries it holds whose cancelling was asked for.
    """

    is_fenced: bool = False
    cancel: tuple[str, ...] = ()


class LaneCount(msgspec.Struct, frozen=True, array_like=True):
    """How much stands in one lane."""

    queue: str
    pool: str
    queued: int = 0
    scheduled: int = 0
    running: int = 0
    oldest: float | None = None
    """Unix time at which the longest waiting one became due."""


class WorkerView(msgspec.Struct, frozen=True, array_like=True):
    """A worker as the engine sees it."""

    heartbeat: Heartbeat
    seen_at: float
    is_alive: bool
    holds: int


class TaskView(msgspec.Struct, frozen=True, array_like=True):
    """One message as a person looks at it."""

    id: str
    task: str
    state: State
    queue: str
    pool: str
    priority: int
    attempt: int
    sent_at: float
    due: float | None = None
    worker: str | None = None
    reason: str | None = None
    """Why it is in the dead letters."""
    args: bytes = b""
    ended_at: float | None = None
    flow: Flow | None = None
    """Its part in a workflow; of what ended, only where its body is kept."""
    root: str | None = None


class Search(msgspec.Struct, frozen=True):
    """Which messages to find or act on; None matches all. `dead` picks the dead letters only."""

    ids: tuple[str, ...] | None = None
    queue: str | None = None
    task: str | None = None
    state: State | None = None
    dead: bool = False
    limit: int = 100


Action = Literal["requeue", "purge"]
