"""An app of tasks that start tasks and wait for them."""

import asyncio
import os

from polypool import Polypool

app = Polypool("nest", broker=os.environ.get("MARKS_BROKER", "sqlite:///nest.db"))


@app.task(name="nest.deep")
async def deep(levels: int) -> int:
    """Waits for one that waits for one that …; how many there were below."""
    return 0 if levels == 0 else 1 + await (await deep.adelay(levels - 1))


@app.task(name="nest.wide")
async def wide(count: int) -> int:
    return sum([value async for value in await leaf.amap(range(count))])


@app.task(name="nest.leaf")
async def leaf(number: int) -> int:
    return number


@app.task(name="nest.sleeper")
async def sleeper(seconds: float) -> None:
    await asyncio.sleep(seconds)


@app.task(name="nest.patient")
async def patient(id: str) -> None:
    await app.result(id)
