"""The app of the tests of limits: runs leave marks with the time."""

import os
import time
from pathlib import Path

from polypool import Concurrency, Polypool, Rate, RateLimited, chain, current

app = Polypool("limited", broker=os.environ.get("MARKS_BROKER", "sqlite:///limited.db"))
MARKS = "marks.txt"


def mark(what: str) -> None:
    """One line, one write: marks of many processes never mix."""
    file = os.open(MARKS, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, f"{what} {time.time()} {os.getpid()} {current.task_id}\n".encode())
    finally:
        os.close(file)


@app.task(limits=[Rate("api", "40/s", burst=4)])
async def ask() -> None:
    mark("ask")


@app.task(limits=[Concurrency("tenant:{tenant}", 2)])
def work(tenant: str, seconds: float = 0.1) -> str:
    mark(f"begin:{tenant}")
    while not Path("gate").exists() and seconds > 1:
        time.sleep(0.01)
    mark(f"end:{tenant}")
    return tenant


@app.task
async def name() -> str:
    return "seven"


@app.task(limits=[Rate("refusing", "1000/s", burst=100)], max_retries=0)
async def refused() -> int:
    mark("refused")
    if not Path("once").exists():
        Path("once").touch()
        raise RateLimited(1.0)
    return current.attempt


@app.task
def free() -> str:
    return "free"


def named() -> "chain[str]":
    """A step whose key is known only when it runs."""
    return name.s() | work.s()
