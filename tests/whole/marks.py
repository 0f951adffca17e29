"""The app the kill tests run: every run leaves its marks in a file, so that runs and ends can be counted.

One line a mark, `begin|end <task id> <pid>`; a line is one write to a file opened for appending, so marks of many
processes never mix.
"""

import asyncio
import ctypes
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Generator
from pathlib import Path

from polypool import Polypool, current

app = Polypool(
    "marks",
    broker=os.environ.get("MARKS_BROKER", "sqlite:///marks.db"),
)
MARKS = "marks.txt"
GATE = "gate"


def mark(what: str) -> None:
    """Leave a mark of the running task."""
    file = os.open(MARKS, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, f"{what} {current.task_id} {os.getpid()}\n".encode())
    finally:
        os.close(file)


def whole_lines(path: Path) -> list[str]:
    """The lines of a file that others append to. The last one may be half there: the kernel appends in one piece, but
    who reads meanwhile may see its first part."""
    return path.read_text().rpartition("\n")[0].splitlines() if path.exists() else []


def read(folder: Path) -> dict[str, Counter[str]]:
    """The marks so far: how often each task began and ended."""
    found: dict[str, Counter[str]] = {"begin": Counter(), "end": Counter()}
    for line in whole_lines(folder / MARKS):
        what, id, _ = line.split()
        found[what][id] += 1
    return found


@app.task
async def nap(seconds: float) -> str:
    mark("begin")
    await asyncio.sleep(seconds)
    mark("end")
    return "napped"


@app.task
def doze(seconds: float) -> str:
    mark("begin")
    time.sleep(seconds)
    mark("end")
    return "dozed"


@app.task(pool="prefork")
def grind(seconds: float) -> str:
    mark("begin")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(1000))
    mark("end")
    return "ground"


@app.task(pool="prefork")
def crash() -> None:
    mark("begin")
    ctypes.string_at(0)


@app.task
async def block(seconds: float) -> str:
    mark("begin")
    time.sleep(seconds)
    mark("end")
    return "blocked"


@app.task(pool="prefork", timeout=0.5)
def endless() -> None:
    mark("begin")
    while True:
        pass


@app.task(pool="auto")
def busy(n: int) -> int:
    return sum(i * i for i in range(n))


@app.task
async def echo(value: int) -> int:
    mark("begin")
    mark("end")
    return value


@app.task
async def held(value: int) -> int:
    """Ends once there is a file `gate`."""
    mark("begin")
    while not os.path.exists(GATE):
        await asyncio.sleep(0.02)
    mark("end")
    return value


@app.task
async def unsayable() -> object:
    """Returns what has no form outside its process."""
    return object()


@app.task
def plenty(size: int) -> bytes:
    """Returns so many bytes."""
    return bytes(size)


@app.task
async def tells(count: int) -> AsyncIterator[int]:
    """So many items; the first run stops in the middle and waits for its end."""
    for number in range(count):
        if number == count // 2 and current.attempt == 1:
            mark("begin")
            await asyncio.sleep(600)
        yield number


@app.task
def narrates(count: int) -> Generator[int, None, str]:
    """The same of a plain function."""
    for number in range(count):
        if number == count // 2 and current.attempt == 1:
            mark("begin")
            time.sleep(600)
        yield number
    return "told"


@app.task
def pours(count: int) -> Generator[int, None, int]:
    yield from range(count)
    return count
