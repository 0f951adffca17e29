"""Advice: which tasks are in the wrong pool and which pools too small, with the figures and what to change. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from polypool.core.manifest import TaskSpec
from polypool.core.measure import Tally
from polypool.core.report import PoolReport
from polypool.core.settings import AUTO
from polypool.observe.placement import MIN_RUNS, burns, crowds, is_measured, waits
from polypool.observe.words import percent, span

ALONE = frozenset({"prefork", "solo"})
"""Kinds whose child runs one call at a time."""
GREENLETS = frozenset({"gevent", "eventlet"})

SMALL_WAIT = 1.0
"""Seconds. A shorter mean wait in the queue is what a burst costs, not a pool's size."""
SMALL_RATIO = 5.0
"""Waiting five times as long as running: four of five calls would have found no place in a pool of the right size."""
FULL = 0.8
"""A pool whose calls needed less than this share of its slots did not make anybody wait by its size."""

Severity = Literal["warning", "hint"]


class Finding(msgspec.Struct, frozen=True):
    """One thing to change. A `warning` costs other tasks too; a `hint` costs only memory or this task's time."""

    task: str
    pool: str
    severity: Severity
    evidence: str
    """The figures it rests on."""
    change: str
    """What to do, in words that can be typed."""


def advise(tallies: Iterable[Tally], tasks: Iterable[TaskSpec] = (), pools: Sequence[PoolReport] = ()) -> list[Finding]:
    """What to change, warnings first.

    `tasks`, where the app is known, says which tasks are `async def`, which moved and which polypool places itself;
    `pools` are those of the workers alive. Without enough runs there is no finding.
    """
    specs = {spec.name: spec for spec in tasks}
    present = list(_present(tallies, specs))
    found = [finding for tally in present for finding in _judge(tally, specs.get(tally.task), pools)]
    moving = {finding.task for finding in found}
    found += [finding for finding in _small_pools(present, pools) if finding.task not in moving]
    return sorted(found, key=lambda finding: (finding.severity != "warning", finding.task, finding.pool))


def _present(tallies: Iterable[Tally], specs: Mapping[str, TaskSpec]) -> Iterable[Tally]:
    """One tally a task: of the pool it is in now. What it did in a pool it has left is history."""
    latest: dict[str, Tally] = {}
    for tally in tallies:
        spec = specs.get(tally.task)
        if specs and spec is None:
            continue
        if spec is not None and spec.pool not in (tally.pool, AUTO):
            continue
        known = latest.get(tally.task)
        if known is None or _age(tally) > _age(known):
            latest[tally.task] = tally
    return latest.values()


def _age(tally: Tally) -> tuple[float, int]:
    return tally.last_end or 0.0, tally.runs


def _judge(tally: Tally, spec: TaskSpec | None, pools: Sequence[PoolReport]) -> Iterable[Finding]:
    if tally.blocked:
        yield _blocks_the_loop(tally)
    elif spec is not None and spec.pool == AUTO:
        return
    elif is_measured(tally):
        yield from _misplaced(tally, spec, sum(pool.children for pool in pools if pool.kind == tally.pool) or 1)


def _blocks_the_loop(tally: Tally) -> Finding:
    """Needs no number of runs: each time was seen, with the stack in the worker's log."""
    return Finding(
        tally.task,
        tally.pool,
        "warning",
        f"blocked its event loop {_times(tally.blocked)} in {_counted(tally.runs, 'run')}; "
        "every other call there stood still",
        "find the blocking call in the worker's log (its stack is there) and await it, or hand it to "
        'asyncio.to_thread; or make the task a plain def on pool="threads"',
    )


def _misplaced(tally: Tally, spec: TaskSpec | None, children: int) -> Iterable[Finding]:
    taken = f"{span(tally.mean_wall)} a run, {percent(tally.cpu_share)} of it CPU"
    seen = f"over {tally.runs:,} runs"
    if tally.pool in ALONE:
        if waits(tally):
            yield Finding(tally.task, tally.pool, "hint", f"{taken}, {seen}", _where_to_wait(spec))
    elif burns(tally):
        change = 'pool="prefork": ' + _why_not_to_burn(tally.pool)
        yield Finding(tally.task, tally.pool, "warning", f"{taken}, {seen}", change)
    elif crowds(tally, children):
        evidence = f"{taken}; its runs together keep {tally.processors:.1f} processors busy, {seen}"
        spread = f"{2 * children}x{max(round((tally.concurrency or 1) / 2 / children), 1)}"
        change = (
            'pool="prefork" if it computes; if it waits, more children share the work: '
            f"polypool worker --pool {tally.pool}={spread}"
        )
        yield Finding(tally.task, tally.pool, "hint", evidence, change)


def _where_to_wait(spec: TaskSpec | None) -> str:
    if spec is None:
        return 'pool="asyncio" if it is async def, else pool="threads" (or "gevent" for hundreds at a time)'
    if spec.is_async:
        return 'pool="asyncio": it waits beside a thousand others there, in one process'
    return 'pool="threads", or "gevent" for hundreds at a time; or make it async def'


def _why_not_to_burn(pool: str) -> str:
    if pool == "asyncio":
        return "while it computes, no other call of its event loop moves"
    if pool in GREENLETS:
        return f"while it computes, no other greenlet of its {pool} child moves"
    return "threads compute one at a time (the GIL), processes side by side"


def _small_pools(tallies: Sequence[Tally], pools: Sequence[PoolReport]) -> Iterable[Finding]:
    """Tasks that wait in a full pool. Needs the pools' sizes: without them a wait may only mean that no worker ran."""
    for kind in sorted({pool.kind for pool in pools}):
        reports = [pool for pool in pools if pool.kind == kind]
        slots = sum(pool.slots for pool in reports)
        running = sum(pool.running for pool in reports)
        here = [tally for tally in tallies if tally.pool == kind]
        needed = max(running, sum(tally.concurrency or 0.0 for tally in here))
        if slots and needed >= FULL * slots:
            yield from (_waits_long(tally, slots, len(reports)) for tally in here if _waits_too_long(tally))


def _waits_too_long(tally: Tally) -> bool:
    return tally.runs >= MIN_RUNS and _mean_wait(tally) > max(SMALL_WAIT, SMALL_RATIO * tally.mean_wall)


def _waits_long(tally: Tally, slots: int, workers: int) -> Finding:
    evidence = (
        f"{span(_mean_wait(tally))} in the queue for {span(tally.mean_wall)} of running, over {tally.runs} runs; "
        f"all {slots} slots are in use"
    )
    each = 2 * max(slots // workers, 1)
    if tally.pool in ALONE and not waits(tally):
        change = (
            f"more processes where processors are free (polypool worker --pool {tally.pool}={each}), or another worker"
        )
    else:
        change = f"polypool worker --pool {tally.pool}={each}, or another worker"
    return Finding(tally.task, tally.pool, "hint", evidence, change)


def _mean_wait(tally: Tally) -> float:
    """Seconds in the queue before a run."""
    return tally.wait / tally.runs if tally.runs else 0.0


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
