"""Marks: how tasks say, at almost no cost, that they began and ended.

Every process that runs tasks keeps one 32-byte file of its own, mapped into memory: how many ended, when the
first began, when the first and the last ended. Whoever measures reads them all and sums up.
"""

import mmap
import os
import struct
import threading
import time
from dataclasses import dataclass
from pathlib import Path

FOLDER = "BENCH_MARKS"
"""The environment variable that names the folder of the files."""
SHAPE = struct.Struct("<qddd")


class Marks:
    """This process's own file. Safe for threads and greenlets."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._forget()
        os.register_at_fork(after_in_child=self._forget)

    def began(self) -> None:
        if not self._has_begun:
            with self._lock:
                self._has_begun = True
                struct.pack_into("<d", self._opened(), 8, time.time())

    def ended(self) -> None:
        with self._lock:
            now = time.time()
            page = self._opened()
            self._count += 1
            if self._count == 1:
                struct.pack_into("<d", page, 16, now)
            struct.pack_into("<d", page, 24, now)
            # The count last: who sees it sees the times that belong to it.
            struct.pack_into("<q", page, 0, self._count)

    def _forget(self) -> None:
        self._page: mmap.mmap | None = None
        self._count = 0
        self._has_begun = False

    def _opened(self) -> mmap.mmap:
        if self._page is None:
            path = os.path.join(os.environ[FOLDER], f"marks.{os.getpid()}")
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            os.ftruncate(descriptor, SHAPE.size)
            self._page = mmap.mmap(descriptor, SHAPE.size)
            os.close(descriptor)
        return self._page


@dataclass(frozen=True)
class Seen:
    """What all processes marked so far. Unix times; 0 where nothing was marked."""

    count: int = 0
    began: float = 0.0
    first_end: float = 0.0
    last_end: float = 0.0


def seen(folder: Path) -> Seen:
    """Sum up the files of a folder."""
    pages = [SHAPE.unpack(page) for path in folder.glob("marks.*") if len(page := path.read_bytes()) == SHAPE.size]
    return Seen(
        count=sum(count for count, *_ in pages),
        began=min((began for _, began, _, _ in pages if began), default=0.0),
        first_end=min((first for _, _, first, _ in pages if first), default=0.0),
        last_end=max((last for *_, last in pages), default=0.0),
    )
