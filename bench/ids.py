"""Many ids × 50 µs of CPU on two processes: by chunks and one message an id, beside ProcessPoolExecutor.map.

    python -m bench ids sqlite --tasks 1000000        redis, postgres, or any URL

Both are warm before time is taken, and both have all results in the sender's hands when it ends. The best chunk size
of each is searched beforehand on a part of the ids.
"""

import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from typing import NamedTuple

from bench.anywhere import another, anywhere
from bench.ids_app import LOOPS, crunch
from bench.machine import loops_for
from bench.processes import pss
from bench.reading import CannotMeasure, Extent, Reading, at_least, at_most
from bench.stand import ROOT, Stand, until

PROCESSES = 2
ITEM_S = 50e-6
SIZES = (100, 500, 2_000, 10_000)
"""Chunk sizes among which the best is searched: half a second is 10,000."""
SINGLES = 10
"""One message an id is measured with this part of the ids."""
SEARCH = 5
"""The best size is searched with this part of the ids."""
LOOKS_EVERY_S = 0.5


class Sent(NamedTuple):
    """One round of ours. Ids a second; megabytes of the sender and, at the most, of the worker with all children."""

    rate: float
    sender_mb: float
    worker_mb: float
    messages: int


def measure(extent: Extent) -> list[Reading]:
    count = extent.tasks or extent.pick(full=200_000, quick=20_000)
    os.environ[LOOPS] = str(loops_for(ITEM_S))
    executor: list[float] = []
    found: list[Sent] = []
    fixed: list[Sent] = []
    singles: list[Sent] = []
    with anywhere(extent.engine or "sqlite") as url:
        theirs = max(SIZES, key=lambda size: executor_rate(count // SEARCH, size))
        ours = max(SIZES, key=lambda size: polypool_rate(url, count // SEARCH, str(size)).rate)
        for _ in range(extent.repeats):
            executor.append(executor_rate(count, theirs))
            found.append(polypool_rate(url, count, "0"))
            fixed.append(polypool_rate(url, count, str(ours)))
            singles.append(polypool_rate(url, count // SINGLES, "map"))
    chunks = f"{found[-1].messages:,} chunks"
    return [
        Reading(f"ProcessPoolExecutor({PROCESSES}).map, chunksize={theirs:,}", "ids/s", executor),
        Reading(f"polypool, prefork={PROCESSES}, chunks(ids)", "ids/s", [one.rate for one in found], note=chunks),
        Reading("ratio to ProcessPoolExecutor", "×", _ratios(found, executor), at_least(0.9), f"{count:,} ids"),
        Reading(f"polypool, chunks(ids, {ours:,})", "ids/s", [one.rate for one in fixed]),
        Reading("ratio to ProcessPoolExecutor", "×", _ratios(fixed, executor)),
        Reading("polypool, map: one message an id", "ids/s", [one.rate for one in singles], note=_part(count)),
        Reading("ratio to ProcessPoolExecutor", "×", _ratios(singles, executor)),
        Reading("sender, at the most, chunks(ids)", "MB RSS", [one.sender_mb for one in found], at_most(100)),
        Reading("sender, at the most, map", "MB RSS", [one.sender_mb for one in singles], at_most(100)),
        Reading("worker, at the most, chunks(ids)", "MB PSS", [one.worker_mb for one in found], at_most(150)),
        Reading("worker, at the most, map", "MB PSS", [one.worker_mb for one in singles], at_most(150)),
    ]


def _part(count: int) -> str:
    return f"{count // SINGLES:,} ids"


def _ratios(ours: list[Sent], theirs: list[float]) -> list[float]:
    return [one.rate / other for one, other in zip(ours, theirs, strict=True)]


def executor_rate(count: int, size: int) -> float:
    # Spawned: this process has threads, and forking it under them is not sound.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(PROCESSES, mp_context=context) as executor:
        list(executor.map(crunch, range(1_000), chunksize=100))
        began = time.perf_counter()
        fetched = sum(1 for _ in executor.map(crunch, range(count), chunksize=size))
        rate = count / (time.perf_counter() - began)
    if fetched != count:
        raise CannotMeasure(f"ProcessPoolExecutor gave {fetched:,} results for {count:,} ids")
    return rate


def polypool_rate(url: str, count: int, way: str) -> Sent:
    """One round: `way` is a chunk's size, "0" to have it found, or "map"."""
    with Stand(another(url)) as stand:
        worker = stand.worker("bench.ids_app:ON_PREFORK", "--pool", f"prefork={PROCESSES}")
        worker.wait_ready()
        until(lambda: len(worker.children()) >= PROCESSES, f"{PROCESSES} children", 30, worker)
        send(stand.broker, 200, "10", lambda: 0.0)
        told, worker_mb = send(stand.broker, count, way, lambda: pss(worker.pid))
    if told["fetched"] != count:
        raise CannotMeasure(f"{told['fetched']:,} results came for {count:,} ids")
    return Sent(count / told["seconds"], told["rss_mb"], worker_mb, int(told["messages"]))


def send(broker: str, count: int, way: str, gauge: Callable[[], float]) -> tuple[dict[str, float], float]:
    """What the sender tells when it is done, and the most that the gauge showed meanwhile."""
    command = [sys.executable, "-m", "bench.ids_sender", broker, str(count), way]
    most = 0.0
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as sender:
        try:
            while sender.poll() is None:
                most = max(most, gauge())
                with suppress(subprocess.TimeoutExpired):
                    sender.wait(LOOKS_EVERY_S)
            told = sender.stdout.read() if sender.stdout is not None else ""
        finally:
            sender.kill()
    if sender.returncode != 0:
        raise CannotMeasure(f"the sender ended with {sender.returncode}; what it said stands above")
    parsed: dict[str, float] = json.loads(told)
    return parsed, most
