"""Real workers for tests: processes started by the command line, watched by conditions, killed for real."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

PATIENCE = 60.0
"""Seconds that a test waits for what should come at once: a busy machine may stop for seconds anywhere."""


def until(condition: Callable[[], object], what: str, patience: float = PATIENCE) -> None:
    """Wait until a condition holds; the text says what did not happen in time."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"not within {patience} s: {what}"
        time.sleep(0.01)


class WorkerProcess:
    """One `polypool worker` in a folder of its own; its standard error is kept in a file."""

    def __init__(self, folder: Path, target: str, *options: str, **environment: str) -> None:
        self.folder = folder
        number = len(list(folder.glob("worker-*.log")))
        self.log = folder / f"worker-{number}.log"
        command = [sys.executable, "-m", "polypool.cli.main", "worker", target, *options]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=folder, stderr=log, stdout=log, env={**os.environ, **environment}, start_new_session=True
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_ready(self) -> "WorkerProcess":
        def is_ready() -> bool:
            assert self.process.poll() is None, f"the worker ended with {self.process.returncode}:\n{self.said()}"
            return " is ready" in self.said()

        until(is_ready, "the worker is ready")
        return self

    def children(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self.pid).children(recursive=True)
        return []

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL to the supervisor alone; its children must notice by themselves."""
        self.process.kill()
        self.process.wait(PATIENCE)

    def stop(self, patience: float = PATIENCE) -> int:
        """SIGTERM; the exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(patience)


@contextlib.contextmanager
def worker(folder: Path, target: str, *options: str, **environment: str) -> Iterator[WorkerProcess]:
    """A worker that is ready, and gone with all of its children afterwards."""
    started = WorkerProcess(folder, target, *options, **environment)
    try:
        yield started.wait_ready()
    finally:
        family = started.children()
        started.process.kill()
        started.process.wait(PATIENCE)
        _, left = psutil.wait_procs(family, timeout=PATIENCE)
        for process in left:
            process.kill()
        assert not left, f"children outlived their supervisor: {left}\n{started.said()}"
