"""Figures: a tally as the numbers people and scripts read. Pure; the keys of `--json` are these fields."""

import math

import msgspec

from polypool.core.measure import Tally


class TaskFigures(msgspec.Struct, frozen=True):
    """What the runs of one task in one pool took. Seconds; None where nothing was measured."""

    task: str
    pool: str
    runs: int
    succeeded: int
    failed: int
    retried: int
    cancelled: int
    lost: int
    blocked: int
    """Times a run was seen blocking its event loop."""
    mean_wall: float | None
    p50_wall: float | None
    p95_wall: float | None
    p99_wall: float | None
    mean_wait: float | None
    """From when it was due to when it began."""
    cpu_share: float | None
    """CPU seconds per second of a run."""
    cpu_per_run: float | None
    rate: float | None
    """Runs a second, over the time in which any was under way."""
    concurrency: float | None
    """What it needs of its pool's slots: rate × mean wall (Little's law)."""
    processors: float | None
    """What its runs use together."""
    last_end: float | None


def figures(tally: Tally) -> TaskFigures:
    """Derive what is read from what was counted."""
    runs = tally.runs
    return TaskFigures(
        task=tally.task,
        pool=tally.pool,
        runs=runs,
        succeeded=tally.succeeded,
        failed=tally.failed,
        retried=tally.retried,
        cancelled=tally.cancelled,
        lost=tally.lost,
        blocked=tally.blocked,
        mean_wall=_finite(tally.mean_wall),
        p50_wall=_finite(tally.quantile(0.50)),
        p95_wall=_finite(tally.quantile(0.95)),
        p99_wall=_finite(tally.quantile(0.99)),
        mean_wait=tally.wait / runs if runs else None,
        cpu_share=tally.cpu_share,
        cpu_per_run=tally.cpu_per_run,
        rate=runs / tally.busy if tally.busy > 0 else None,
        concurrency=tally.concurrency,
        processors=tally.processors,
        last_end=tally.last_end,
    )


def _finite(seconds: float) -> float | None:
    return seconds if math.isfinite(seconds) else None
