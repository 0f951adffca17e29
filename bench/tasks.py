"""The tasks that are measured, in one app a kind of pool: a worker starts the pools that its app's tasks name."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

from bench.diary import Diary
from bench.marks import Marks
from polypool import Polypool, Values

FLEETING_S = 5.0
"""How long the results of `fleeting` are kept."""

marks = Marks()
diary = Diary()


async def noop() -> None:
    marks.ended()


async def echo(value: int) -> int:
    return value


async def wait(user: int, seconds: float) -> int:
    await asyncio.sleep(seconds)
    return user


async def count(values: Values[object]) -> int:
    """A chord's body: how many came."""
    found = 0
    async for _ in values:
        found += 1
    marks.ended()
    return found


def answer(value: int) -> int:
    return value


def reply(value: int) -> int:
    return value


async def nap(seconds: float) -> None:
    marks.began()
    await asyncio.sleep(seconds)
    marks.ended()


def doze(seconds: float) -> None:
    marks.began()
    time.sleep(seconds)
    marks.ended()


def spin(loops: int) -> int:
    marks.began()
    x = burn(loops)
    marks.ended()
    return x


def burn(loops: int) -> int:
    """Pure Python that allocates nothing; `machine.loops_for` finds how many loops take so many milliseconds."""
    x = 0
    for i in range(loops):
        x = (x * 31 + i) & 0xFFFFFFFF
    return x


async def block(number: int, seconds: float) -> None:
    """Write down the run, then hold up its event loop."""
    run = uuid.uuid4().hex
    diary.began(number, run)
    time.sleep(seconds)  # noqa: ASYNC251 – the fault whose cost is measured
    diary.ended(number, run)


async def visit(number: int, seconds: float) -> int:
    """Write down the run and wait."""
    run = uuid.uuid4().hex
    diary.began(number, run)
    await asyncio.sleep(seconds)
    diary.ended(number, run)
    return number


async def tell(first: float, every: float, count: int) -> AsyncIterator[int]:
    """So many items, the first at this Unix time, then one every so many seconds."""
    for number in range(count):
        await asyncio.sleep(max(first + every * number - time.time(), 0))
        yield number


FUNCTIONS: dict[str, tuple[Callable[..., Any], ...]] = {
    "asyncio": (noop, echo, nap, wait, count, block, visit, tell),
    "threads": (answer, doze),
    "gevent": (doze,),
    "prefork": (reply, spin),
}


def app_of(*kinds: str, broker: str | None = None) -> Polypool:
    """An app with the tasks of these kinds of pool."""
    app = Polypool("bench", broker=broker)
    for kind in kinds:
        for function in FUNCTIONS[kind]:
            app.task(pool=kind, name=function.__name__)(function)
    if "asyncio" in kinds:
        app.task(pool="asyncio", name="fleeting", result_ttl=FLEETING_S)(noop)
    return app


# What `polypool worker bench.tasks:ON_…` loads; its environment names the engine.
ON_ASYNCIO = app_of("asyncio")
ON_THREADS = app_of("threads")
ON_GEVENT = app_of("gevent")
ON_PREFORK = app_of("prefork")
