"""Stand: a queue in a folder of its own, and workers on it, by public means only.

Everything lies in a temporary folder and ends with the `with` block: each worker leads a process group, which is
killed as a whole should it not stop by itself.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Self, TypeVar

from bench import marks
from bench.diary import FILE, Run, read
from bench.processes import tree
from bench.reading import CannotMeasure
from bench.tasks import app_of
from polypool import Task

T = TypeVar("T")

ROOT = Path(__file__).resolve().parent.parent
STOPS_WITHIN_S = 15.0
LOG_LINES_SHOWN = 15


class WorkerProcess:
    """One `polypool worker` with all of its children. `pid` is its supervisor's."""

    def __init__(self, command: list[str], environment: dict[str, str], log: Path) -> None:
        self.log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def children(self) -> list[int]:
        return tree(self.pid)[1:]

    def said(self, pattern: str) -> re.Match[str] | None:
        """The first place in its log that matches."""
        return re.search(pattern, self.log.read_text(encoding="utf-8", errors="replace"))

    def wait_ready(self, within: float = 30.0) -> None:
        """Until it says that it takes tasks."""
        until(lambda: self.said(r"is ready"), "a worker to be ready", within, self)

    def kill(self) -> list[int]:
        """SIGKILL to the supervisor alone, as the kernel would; the pids of all that this ends."""
        ended = tree(self.pid)
        self._process.kill()
        self._process.wait()
        return ended

    def stop(self) -> None:
        """End it in order, or by force; nothing of it is left afterwards."""
        if self.is_running:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOPS_WITHIN_S)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def last_words(self) -> str:
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES_SHOWN:])


class Stand:
    """A queue, the marks of its tasks, and its workers. Without a URL the queue is a temporary SQLite file."""

    def __init__(self, broker: str | None = None) -> None:
        self._exits = ExitStack()
        self._workers: list[WorkerProcess] = []
        self._broker = broker

    def __enter__(self) -> Self:
        self.folder = Path(self._exits.enter_context(tempfile.TemporaryDirectory(prefix="polypool-bench-")))
        self.broker = self._broker or f"sqlite:///{self.folder / 'queue.db'}"
        self.diary = self.folder / "diary"
        self.diary.touch()
        return self

    def __exit__(self, *_: object) -> None:
        with self._exits:
            for worker in self._workers:
                worker.stop()

    def worker(self, target: str, *options: str) -> WorkerProcess:
        """Start `polypool worker` on this queue."""
        environment = {
            **os.environ,
            "POLYPOOL_BROKER": self.broker,
            marks.FOLDER: str(self.folder),
            FILE: str(self.diary),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        }
        log = self.folder / f"worker-{len(self._workers)}.log"
        command = [str(Path(sys.executable).with_name("polypool")), "worker", target, *options]
        started = WorkerProcess(command, environment, log)
        self._workers.append(started)
        return started

    def tasks(self, *kinds: str) -> Mapping[str, Task[..., Any, Any]]:
        """The sender's side of the tasks of these pools, by name; closed with the stand."""
        app = app_of(*kinds, broker=self.broker)
        self._exits.callback(app.close)
        return app.tasks

    def marked(self) -> marks.Seen:
        return marks.seen(self.folder)

    def wait_marked(self, count: int, within: float, worker: WorkerProcess, every: float = 0.02) -> marks.Seen:
        """Until so many tasks ended."""
        until(lambda: self.marked().count >= count, f"{count:,} tasks to end", within, worker, every)
        return self.marked()

    def runs(self) -> list[Run]:
        return read(self.diary)


def until(
    condition: Callable[[], T | None],
    what: str,
    within: float,
    worker: WorkerProcess | None = None,
    every: float = 0.005,
) -> T:
    """Wait for a condition and return what it gave; CannotMeasure with the worker's last words if it does not come."""
    end = time.monotonic() + within
    while True:
        found = condition()
        if found:
            return found
        late = time.monotonic() > end
        if late or (worker is not None and not worker.is_running):
            words = f" The worker's log ends so:\n{worker.last_words()}" if worker is not None else ""
            how = f"waited {within:g} s for {what}" if late else f"the worker ended before {what} could be seen"
            raise CannotMeasure(f"{how}.{words}")
        time.sleep(every)
