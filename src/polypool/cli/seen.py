"""Tables that more than one command shows: workers, pools, lanes, tasks and advice."""

import math
from collections.abc import Sequence

from polypool.cli.documents import LaneSeen, WorkerSeen
from polypool.cli.table import Note, Row, Table, columns
from polypool.observe.advice import Finding
from polypool.observe.figures import TaskFigures
from polypool.observe.words import ago, number, percent, size, span


def worker_table(workers: Sequence[WorkerSeen], now: float) -> Table:
    rows = tuple(_worker_row(worker, now) for worker in workers)
    heads = columns("name", "app", "queues", "host", ">pid", ">up", ">holds", ">last seen")
    return Table("workers", heads, rows, empty="none; start one: polypool worker MODULE:APP")


def _worker_row(worker: WorkerSeen, now: float) -> Row:
    silent = now - worker.seen_at
    cells = (
        worker.name,
        worker.app,
        ",".join(worker.queues),
        worker.host,
        str(worker.pid),
        span(max(worker.seen_at - worker.started_at, 0.0)),
        str(worker.holds),
        ago(silent) if worker.is_alive else f"silent for {span(silent)}",
    )
    return Row(cells, style="" if worker.is_alive else "red")


def pool_table(workers: Sequence[WorkerSeen]) -> Table:
    rows = tuple(
        Row(
            (worker.name, pool.kind, str(pool.children), str(pool.running), str(pool.slots), size(pool.memory)),
            style="yellow" if pool.slots and pool.running >= pool.slots else "",
        )
        for worker in workers
        if worker.is_alive
        for pool in worker.pools
    )
    return Table(
        "pools", columns("worker", "kind", ">children", ">running", ">slots", ">memory"), rows, empty="none run"
    )


def lane_table(lanes: Sequence[LaneSeen], now: float) -> Table:
    rows = tuple(
        Row(
            (
                lane.queue,
                lane.pool,
                str(lane.queued),
                str(lane.scheduled),
                str(lane.running),
                "–" if lane.oldest is None else span(max(now - lane.oldest, 0.0)),
            )
        )
        for lane in lanes
    )
    heads = columns("queue", "pool", ">queued", ">scheduled", ">running", ">longest wait")
    return Table("queues", heads, rows, empty="nothing waits and nothing runs")


def brief_task_table(tasks: Sequence[TaskFigures]) -> Table:
    rows = tuple(
        Row(
            (
                each.task,
                each.pool,
                f"{each.runs:,}",
                f"{each.failed + each.lost:,}",
                span(each.mean_wall),
                _quantile(each, each.p95_wall),
                span(each.mean_wait),
                percent(each.cpu_share),
                number(each.rate),
                number(each.concurrency),
            )
        )
        for each in tasks
    )
    heads = columns("task", "pool", ">runs", ">failed", ">mean", ">p95", ">waited", ">CPU", ">runs/s", ">at once")
    return Table("tasks", heads, rows, empty="none has run yet")


def full_task_table(tasks: Sequence[TaskFigures]) -> Table:
    """Counts that are nought for all tasks are left out: what is there is seen."""
    kinds = ("succeeded", "failed", "retried", "cancelled", "lost", "blocked")
    counts = [kind for kind in kinds if kind == "succeeded" or any(getattr(each, kind) for each in tasks)]
    rows = tuple(
        Row(
            (
                each.task,
                each.pool,
                *(f"{getattr(each, kind):,}" for kind in counts),
                span(each.mean_wall),
                _quantile(each, each.p50_wall),
                _quantile(each, each.p95_wall),
                span(each.mean_wait),
                percent(each.cpu_share),
                number(each.concurrency),
            )
        )
        for each in tasks
    )
    counted = (f">{kind}" for kind in counts)
    heads = columns("task", "pool", *counted, ">mean", ">p50", ">p95", ">waited", ">CPU", ">at once")
    return Table("tasks", heads, rows, empty="none has run yet")


def advice_notes(findings: Sequence[Finding]) -> list[Note]:
    """One note a finding: what was measured, and below it what to change."""
    return [
        Note(
            f"{finding.severity}: {finding.task} on {finding.pool}: {finding.evidence}\n  → {finding.change}",
            style="yellow" if finding.severity == "warning" else "cyan",
        )
        for finding in findings
    ]


def _quantile(each: TaskFigures, seconds: float | None) -> str:
    """Beyond the last bucket of the histogram nothing is known but that it was long."""
    return span(math.inf if seconds is None and each.mean_wall is not None else seconds)
