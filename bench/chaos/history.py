"""History: what every process saw, a line each in files opened for appending.

The kernel orders the lines of a file and has them even when the writer is killed in the next instruction. Producers
and tasks of an older release write it too, so nothing here needs more than msgspec.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

FOLDER = "CHAOS_HISTORY"
"""The environment variable that names the folder of the files."""


class Sent(msgspec.Struct, frozen=True, array_like=True, tag="sent"):
    """What a producer knows of a message. `word`: sending, accepted, known (its id was there), unknown (the send
    raised: it may be there or not). `after`: the steps whose values it is to be given."""

    word: str
    at: float
    id: str
    task: str
    after: tuple[str, ...] = ()


class Ran(msgspec.Struct, frozen=True, array_like=True, tag="ran"):
    """What a run knows of itself. `word`: begun, ended, again (it asked for a retry). `worker` names one life of a
    worker, `token` the delivery. `given`: the values of the steps before it."""

    word: str
    at: float
    id: str
    task: str
    token: int
    pid: int
    worker: str
    given: tuple[str, ...] = ()


class Act(msgspec.Struct, frozen=True, array_like=True, tag="act"):
    """What was done, to whom, from when to when. `pids`: processes that it ended or stopped."""

    word: str
    at: float
    until: float
    worker: str = ""
    pids: tuple[int, ...] = ()


Line = Sent | Ran | Act

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Line).decode


class History:
    """One process's file in the folder of a run. Survives a fork: the child opens its own."""

    def __init__(self, folder: str | Path, name: str) -> None:
        self._folder, self._name = str(folder), name
        self._descriptor: int | None = None
        os.register_at_fork(after_in_child=self._forget)

    def write(self, *lines: Line) -> None:
        if self._descriptor is None:
            path = os.path.join(self._folder, f"{self._name}.{os.getpid()}.jsonl")
            self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(self._descriptor, b"".join(_encode(line) + b"\n" for line in lines))

    def _forget(self) -> None:
        self._descriptor = None


def read(folder: Path, name: str = "*") -> Iterator[Line]:
    """All lines of the files with that name, a file after the other. A line whose writer was killed in the middle of it
    cannot be: it is one write."""
    for path in sorted(folder.glob(f"{name}.*.jsonl")):
        for line in path.read_bytes().splitlines():
            yield _decode(line)


def now() -> float:
    return time.time()
