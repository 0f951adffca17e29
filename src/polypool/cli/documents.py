"""What `--json` prints, field by field: keys that scripts may rely on, whatever the engine stores."""

from typing import Any

import msgspec

from polypool.core.codec import decode_any
from polypool.core.event import Record
from polypool.core.ledger import Gauge
from polypool.core.report import LaneCount, TaskView, WorkerView
from polypool.observe.advice import Finding
from polypool.observe.figures import TaskFigures
from polypool.observe.fitness import Check


class PoolSeen(msgspec.Struct, frozen=True):
    """A pool of a worker. `memory` in bytes (PSS of its children)."""

    kind: str
    children: int
    slots: int
    running: int
    memory: int | None


class WorkerSeen(msgspec.Struct, frozen=True):
    """A worker. Unix times."""

    name: str
    app: str
    queues: tuple[str, ...]
    host: str
    pid: int
    is_alive: bool
    started_at: float
    seen_at: float
    holds: int
    pools: tuple[PoolSeen, ...]


class LaneSeen(msgspec.Struct, frozen=True):
    """What stands in one lane; `oldest` is the Unix time since which the longest waiting one could have run."""

    queue: str
    pool: str
    queued: int
    scheduled: int
    running: int
    oldest: float | None


class Status(msgspec.Struct, frozen=True):
    """polypool status"""

    engine: str
    at: float
    workers: tuple[WorkerSeen, ...]
    queues: tuple[LaneSeen, ...]
    tasks: tuple[TaskFigures, ...]
    advice: tuple[Finding, ...]


class Queues(msgspec.Struct, frozen=True):
    """polypool queues"""

    engine: str
    at: float
    queues: tuple[LaneSeen, ...]


class Limits(msgspec.Struct, frozen=True):
    """polypool limits"""

    engine: str
    at: float
    limits: tuple[Gauge, ...]


class Tasks(msgspec.Struct, frozen=True):
    """polypool tasks"""

    engine: str
    at: float
    tasks: tuple[TaskFigures, ...]
    advice: tuple[Finding, ...]


class FailureSeen(msgspec.Struct, frozen=True):
    """An exception that ended a task."""

    type: str
    message: str
    traceback: str


class Result(msgspec.Struct, frozen=True):
    """polypool result, polypool call --wait. Seconds and Unix times."""

    id: str
    task: str
    state: str
    value: Any = None
    failure: FailureSeen | None = None
    started_at: float | None = None
    ended_at: float | None = None
    wall: float | None = None
    cpu: float | None = None
    is_dead: bool = False


class Letter(msgspec.Struct, frozen=True):
    """One dead letter; `args` is None where the message cannot be decoded."""

    id: str
    task: str
    queue: str
    pool: str
    priority: int
    attempt: int
    sent_at: float
    ended_at: float | None
    reason: str
    args: list[Any] | None
    kwargs: dict[str, Any] | None


class Letters(msgspec.Struct, frozen=True):
    """polypool dead list, polypool dead show"""

    engine: str
    dead: tuple[Letter, ...]


class Moved(msgspec.Struct, frozen=True):
    """polypool purge, polypool dead requeue, polypool dead purge: how many messages it was."""

    engine: str
    count: int


class WorkflowSeen(msgspec.Struct, frozen=True):
    """A workflow in a list. Unix times; `ended_at` None while it goes on."""

    id: str
    what: str
    state: str
    sent_at: float
    ended_at: float | None


class Workflows(msgspec.Struct, frozen=True):
    """polypool workflow list"""

    engine: str
    workflows: tuple[WorkflowSeen, ...]


class WorkflowSent(msgspec.Struct, frozen=True):
    """polypool workflow retry, polypool workflow replay: the new workflow `id`, sent again from workflow `of`.

    `sent` steps, instead of `reused` ones; `gone` of those run only because their results are no longer kept.
    """

    engine: str
    id: str
    of: str
    reused: int
    sent: int
    gone: int


class WorkflowCancelled(msgspec.Struct, frozen=True):
    """polypool workflow cancel. `is_cancelled` false: all had ended before."""

    engine: str
    id: str
    is_cancelled: bool


class TaskChecked(msgspec.Struct, frozen=True):
    """A task's standing options."""

    task: str
    pool: str
    queue: str
    priority: int
    is_async: bool
    timeout: float | None
    max_retries: int


class Checked(msgspec.Struct, frozen=True):
    """polypool check"""

    app: str
    engine: str
    is_fit: bool
    checks: tuple[Check, ...]
    tasks: tuple[TaskChecked, ...]


def worker_seen(view: WorkerView) -> WorkerSeen:
    beat = view.heartbeat
    return WorkerSeen(
        name=beat.worker,
        app=beat.app,
        queues=beat.queues,
        host=beat.host,
        pid=beat.pid,
        is_alive=view.is_alive,
        started_at=beat.started_at,
        seen_at=view.seen_at,
        holds=view.holds,
        pools=tuple(PoolSeen(p.kind, p.children, p.slots, p.running, p.memory) for p in beat.pools),
    )


def lane_seen(lane: LaneCount) -> LaneSeen:
    return LaneSeen(lane.queue, lane.pool, lane.queued, lane.scheduled, lane.running, lane.oldest)


def result(record: Record) -> Result:
    failure, usage = record.failure, record.usage
    return Result(
        id=record.id,
        task=record.task,
        state=record.state.value,
        value=None if record.value is None else decode_any(record.value),
        failure=None if failure is None else FailureSeen(failure.type, failure.message, failure.traceback),
        started_at=usage.started_at if usage else None,
        ended_at=record.ended_at,
        wall=usage.wall if usage else None,
        cpu=usage.cpu if usage else None,
        is_dead=record.is_dead,
    )


def letter(view: TaskView) -> Letter:
    args, kwargs = _arguments(view.args)
    return Letter(
        id=view.id,
        task=view.task,
        queue=view.queue,
        pool=view.pool,
        priority=view.priority,
        attempt=view.attempt,
        sent_at=view.sent_at,
        ended_at=view.ended_at,
        reason=view.reason or "",
        args=args,
        kwargs=kwargs,
    )


def _arguments(body: bytes) -> tuple[list[Any] | None, dict[str, Any] | None]:
    """A dead letter may be one just because its bytes mean nothing."""
    try:
        args, kwargs = decode_any(body)
        return list(args), dict(kwargs)
    except (msgspec.DecodeError, ValueError, TypeError):
        return None, None
