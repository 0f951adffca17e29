"""Diary: a line for each run that begins and ends, kept whatever kills the process.

One `write` a line to a file opened for appending: the kernel orders the lines and has them even when the writer
is killed in the next instruction.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

FILE = "BENCH_DIARY"
"""The environment variable that names the file."""


class Diary:
    """The writing side, inside a child."""

    def __init__(self) -> None:
        self._descriptor: int | None = None
        os.register_at_fork(after_in_child=self._forget)

    def began(self, number: int, run: str) -> None:
        self._write("began", number, run)

    def ended(self, number: int, run: str) -> None:
        self._write("ended", number, run)

    def _forget(self) -> None:
        self._descriptor = None

    def _write(self, what: str, number: int, run: str) -> None:
        if self._descriptor is None:
            self._descriptor = os.open(os.environ[FILE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(self._descriptor, f"{what} {number} {run} {os.getpid()} {time.time():.6f}\n".encode())


@dataclass
class Run:
    """One run of one task, as its own process wrote it down."""

    number: int
    pid: int
    began: float
    ended: float | None = None


def read(path: Path) -> list[Run]:
    """All runs, in the order in which they began."""
    runs: dict[tuple[str, str], Run] = {}
    for line in path.read_text(encoding="ascii").splitlines():
        what, number, run, pid, at = line.split()
        if what == "began":
            runs[number, run] = Run(int(number), int(pid), float(at))
        else:
            runs[number, run].ended = float(at)
    return list(runs.values())
