"""SIGKILL every second, of a child or the worker: every task ends once, and only runs that were cut run again."""

import itertools
import os
import random
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from bench.diary import Run
from bench.processes import tree
from bench.reading import CannotMeasure, Extent, Reading, at_least, at_most
from bench.stand import Stand, WorkerProcess
from polypool import TaskLost

EVERY_S = 1.0
WITHIN_S = 240.0
OPTIONS = ("--pool", "asyncio=50", "--pool", "prefork=2")
TARGET = "bench.tasks:ON_ASYNCIO_AND_PREFORK"


@dataclass(frozen=True)
class Toll:
    """What the kills did. `unexplained` are runs after one that no kill had ended."""

    kills: int
    well: int
    dead: int
    runs: int
    cut: int
    unwritten: int
    unexplained: int


def measure(extent: Extent) -> list[Reading]:
    count = extent.pick(full=20_000, quick=2_000)
    tolls = [kill_every_second(count) for _ in range(1 if extent.is_quick else min(extent.repeats, 2))]
    reruns = [toll.runs - count for toll in tolls]
    cut = [toll.cut + toll.unwritten - toll.dead for toll in tolls]
    return [
        Reading("SIGKILLs, of a child, a child, the worker, …", "", [toll.kills for toll in tolls]),
        Reading(f"tasks that ended once, of {count:,}", "", [toll.well + toll.dead for toll in tolls], at_least(count)),
        Reading("  of them dead letters after 3 lost runs", "", [toll.dead for toll in tolls]),
        Reading("runs cut in the middle", "", [toll.cut for toll in tolls]),
        Reading("runs whose end was not yet written", "", [toll.unwritten for toll in tolls]),
        Reading("reruns", "", reruns),
        Reading("reruns less runs cut", "", [a - b for a, b in zip(reruns, cut, strict=True)], at_most(0)),
        Reading("reruns of a run that no kill had ended", "", [toll.unexplained for toll in tolls], at_most(0)),
    ]


def kill_every_second(count: int) -> Toll:
    with Stand() as stand:
        tasks = stand.tasks("asyncio", "prefork")
        half = count // 2
        visits = tasks["visit"].starmap(((number, 0.02) for number in range(half)), progress=False)
        works = tasks["work"].starmap(((number, 0.002) for number in range(half, count)), progress=False)
        killed, kills, deadline = set[int](), 0, time.monotonic() + WITHIN_S
        worker = stand.worker(TARGET, *OPTIONS)
        worker.wait_ready()
        for number in itertools.count(1):
            time.sleep(EVERY_S)
            if visits.ready() and works.ready():
                break
            if time.monotonic() > deadline:
                raise CannotMeasure(f"not all tasks had ended after {WITHIN_S:g} s and {kills} kills")
            if number % 3 == 0:
                killed.update(worker.kill())
                worker = stand.worker(TARGET, *OPTIONS)
            else:
                killed.update(kill_a_child(worker))
            kills += 1
        endings = [*visits.get(raise_errors=False), *works.get(raise_errors=False)]
        return reckon(endings, stand.runs(), killed, kills)


def kill_a_child(worker: WorkerProcess) -> list[int]:
    """SIGKILL to one of the worker's processes that is not its supervisor; the pids of all that this ends.

    The process that the others were forked from may be hit too, and takes them with it.
    """
    children = worker.children()
    if not children:
        return []
    chosen = random.choice(children)
    ended = tree(chosen)
    with suppress(ProcessLookupError):
        os.kill(chosen, signal.SIGKILL)
    return ended


def reckon(endings: Sequence[object], runs: Sequence[Run], killed: set[int], kills: int) -> Toll:
    """Set what the engine says of each task against what its runs wrote down."""
    wrong = [ending for number, ending in enumerate(endings) if ending != number and not isinstance(ending, TaskLost)]
    if wrong:
        raise CannotMeasure(f"{len(wrong)} tasks ended otherwise than they should, the first with {wrong[0]!r}")
    by_number: dict[int, list[Run]] = {}
    for run in runs:
        by_number.setdefault(run.number, []).append(run)
    earlier = [run for own in by_number.values() for run in own[:-1]]
    dead = sum(isinstance(ending, TaskLost) for ending in endings)
    return Toll(
        kills=kills,
        well=len(endings) - dead,
        dead=dead,
        runs=len(runs),
        cut=sum(run.ended is None for run in runs),
        unwritten=sum(run.ended is not None for run in earlier),
        unexplained=sum(run.pid not in killed for run in earlier),
    )
