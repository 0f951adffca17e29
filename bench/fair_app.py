"""The tasks of `bench fair`: those of tenants, who share a lane, and short and long ones."""

import asyncio
import time

from bench.marks import Marks
from polypool import Polypool

SHARED_S, SHORT_S, LONG_S = 0.2, 0.010, 2.0

marks = Marks()


async def work(tenant: str) -> None:
    await asyncio.sleep(SHARED_S)
    if tenant == "many":
        marks.ended()


async def short() -> float:
    """When it began, as Unix time."""
    began = time.time()
    await asyncio.sleep(SHORT_S)
    return began


async def long() -> None:
    await asyncio.sleep(LONG_S)


def app_for(broker: str | None = None) -> Polypool:
    app = Polypool("bench-fair", broker=broker)
    app.task(name="work", fair_by="{tenant}")(work)
    app.task(name="short")(short)
    app.task(name="long")(long)
    return app


app = app_for()
