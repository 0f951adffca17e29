"""The app of the workflow tests: every run of a step leaves a line when it begins and one when it ends.

One line a mark, `begin|end <task id> <delivery's token> <pid>`, appended in one write, so that marks of many processes
never mix. A callback leaves a line with what it was given instead of an ending.
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from polypool import FailedStep, Polypool, Signature, chain, chord, current, group
from polypool.core.running import running

app = Polypool("steps", broker=os.environ.get("MARKS_BROKER", "sqlite:///marks.db"), max_lost=100)
MARKS = "steps.txt"
GATE = "gate"


class Run(NamedTuple):
    """One run of a step. `has_ended`: its function returned."""

    id: str
    token: int
    pid: int
    has_ended: bool


def mark(*words: Any) -> None:
    file = os.open(MARKS, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, (" ".join(map(str, words)) + "\n").encode())
    finally:
        os.close(file)


def here() -> tuple[str, int, int]:
    run = running.get()
    assert run is not None
    return current.task_id, run.run, os.getpid()


def lines(folder: Path) -> list[list[str]]:
    path = folder / MARKS
    text = path.read_text() if path.exists() else ""
    return [line.split() for line in text.rpartition("\n")[0].splitlines()]  # who reads may see half of the last line


def begun(folder: Path) -> Counter[str]:
    """How often each step began."""
    return Counter(words[1] for words in lines(folder) if words[0] == "begin")


def runs(folder: Path) -> list[Run]:
    """All runs, in the order in which they began."""
    told = lines(folder)
    ended = {(words[1], words[2], words[3]) for words in told if words[0] == "end"}
    return [
        Run(id, int(token), int(pid), (id, token, pid) in ended) for what, id, token, pid in told if what == "begin"
    ]


def noted(folder: Path) -> Counter[str]:
    """What callbacks were given, and how often."""
    return Counter(" ".join(words[1:]) for words in lines(folder) if words[0] == "noted")


@app.task
async def add(x: int, y: int) -> int:
    mark("begin", *here())
    await asyncio.sleep(0.02)
    mark("end", *here())
    return x + y


@app.task
def double(x: int) -> int:
    mark("begin", *here())
    time.sleep(0.01)
    mark("end", *here())
    return 2 * x


@app.task(pool="prefork")
def square(x: int) -> int:
    mark("begin", *here())
    mark("end", *here())
    return x * x


@app.task
async def total(values: Iterable[int]) -> int:
    mark("begin", *here())
    value = sum(values)
    mark("end", *here())
    return value


@app.task
async def fail(x: int) -> int:
    mark("begin", *here())
    raise ValueError(f"no {x}")


@app.task(autoretry_for=(OSError,), retry_backoff=0.05)
async def stumble(x: int) -> int:
    """Succeeds at its second attempt."""
    if current.attempt == 1:
        raise OSError("not at once")
    return x


@app.task
async def need(x: int, name: str) -> int:
    """Fails until there is a file of that name."""
    if not os.path.exists(name):
        raise FileNotFoundError(name)
    return x


@app.task
async def note(given: int) -> None:
    mark("noted", given)


@app.task
def note_failure(failed: FailedStep) -> None:
    mark("noted", failed.task, failed.type, failed.message)


@app.task
async def held(x: int) -> int:
    """Ends once there is a file `gate`."""
    mark("begin", *here())
    while not os.path.exists(GATE):
        await asyncio.sleep(0.02)
    mark("end", *here())
    return x


@app.task
async def report(a: int, b: int, c: int) -> str:
    return f"{a} {b} {c}"


@app.task
def unfold(n: int) -> Signature[int]:
    """Becomes a chord."""
    return chord(group(square.s(one) for one in range(n)), total.s())  # type: ignore[return-value]


@app.task
async def ask_others(n: int) -> int:
    """Sends sub-tasks and waits for them."""
    sent = [await double.adelay(one) for one in range(n)]
    return sum([await one for one in sent])


def chain_of_four(x: int) -> Any:
    """(2x + 1)² + 1, over three pools."""
    return chain(double.s(x), add.s(1), square.s(), add.s(1))


def chord_of(n: int, x: int) -> Any:
    """The sum of so many squares, doubled."""
    return chord(group(square.s(x + one) for one in range(n)), total.s()) | double.s()
