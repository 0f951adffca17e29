"""No-op tasks drained by Celery on Redis, in the same run as polypool drains them from SQLite."""

import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from bench import marks
from bench.drain import drain
from bench.private_redis import private_redis
from bench.reading import CannotMeasure, Extent, Reading, at_least
from bench.stand import ROOT, until

PYTHON = "BENCH_CELERY_PYTHON"
WITHIN_S = 90.0
LEAN = ("--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "ERROR")
WAYS = (
    ("prefork=2, results stored", ("-P", "prefork", "-c", "2"), "stored"),
    ("prefork=2, no results", ("-P", "prefork", "-c", "2"), "none"),
    ("solo, results stored", ("-P", "solo"), "stored"),
    ("solo, no results", ("-P", "solo"), "none"),
)
"""Names, options and results: its usual pool, and the one with the least work a task."""


def measure(extent: Extent) -> list[Reading]:
    python = celery_python()
    count, ours_count = extent.pick(full=4_000, quick=300), extent.pick(full=60_000, quick=8_000)
    ours: list[float] = []
    theirs: dict[str, list[float]] = {name: [] for name, _, _ in WAYS}
    for _ in range(min(extent.repeats, 3)):
        ours.append(drain(ours_count)[0])
        for name, options, results in WAYS:
            theirs[name].append(celery_drain(python, count, options, results))
    stored = [max(theirs[name][i] for name, _, kept in WAYS if kept == "stored") for i in range(len(ours))]
    fastest = [max(rates[i] for rates in theirs.values()) for i in range(len(ours))]
    return [
        Reading("polypool on SQLite, results stored", "tasks/s", ours),
        *(Reading(f"Celery on Redis, {name}", "tasks/s", rates) for name, rates in theirs.items()),
        Reading("ratio to Celery's fastest that stores results", "×", divided(ours, stored), at_least(10)),
        Reading("ratio to Celery's fastest at all", "×", divided(ours, fastest)),
    ]


def divided(ours: list[float], theirs: list[float]) -> list[float]:
    return [one / other for one, other in zip(ours, theirs, strict=True)]


def celery_python() -> str:
    """An interpreter that has Celery: this one, or the one that the environment names."""
    python = os.environ.get(PYTHON)
    if python is None and importlib.util.find_spec("celery") is not None:
        return sys.executable
    if python is None or not Path(python).exists():
        raise CannotMeasure(
            "Celery is not installed here; make it an environment of its own and name its interpreter:\n"
            "  python3 -m venv celery-venv && celery-venv/bin/pip install 'celery[redis]'\n"
            f"  {PYTHON}=celery-venv/bin/python python -m bench celery"
        )
    return str(Path(python).absolute())


def celery_drain(python: str, count: int, options: tuple[str, ...], results: str) -> float:
    """Tasks a second from the first to end to the last, all of them sent before the worker starts."""
    with private_redis() as url, tempfile.TemporaryDirectory(prefix="polypool-bench-celery-") as folder:
        environment = {
            **os.environ,
            "BENCH_REDIS": url,
            "BENCH_RESULTS": results,
            marks.FOLDER: folder,
            "PYTHONPATH": str(ROOT),
        }
        sending = [python, "-m", "bench.peers.celery_noop", str(count)]
        subprocess.run(sending, env=environment, cwd=folder, check=True, timeout=WITHIN_S)
        working = [python, "-m", "celery", "-A", "bench.peers.celery_noop", "worker", *options, *LEAN]
        with (Path(folder) / "log").open("wb") as log:
            worker = subprocess.Popen(working, env=environment, cwd=folder, stdout=log, stderr=log, process_group=0)
        try:
            until(lambda: marks.seen(Path(folder)).count >= count, f"Celery to end {count} tasks", WITHIN_S)
            seen = marks.seen(Path(folder))
            return (count - 1) / (seen.last_end - seen.first_end)
        finally:
            stop(worker)


def stop(worker: subprocess.Popen[bytes]) -> None:
    """In order, then whatever is left of its group."""
    worker.terminate()
    with suppress(subprocess.TimeoutExpired):
        worker.wait(5)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
