"""A FastAPI app whose requests send a task and wait for it, in every way that FastAPI has."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import inside
from fastapi import BackgroundTasks, FastAPI
from fastapi.responses import StreamingResponse
from marks import echo, held


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    result = await echo.adelay(-1)
    assert await result.aget(timeout=60) == -1
    ticking = asyncio.create_task(_tick())
    yield
    ticking.cancel()


async def _tick() -> None:
    while True:
        inside.tick()
        await asyncio.sleep(0.01)


web = FastAPI(lifespan=lifespan)


@web.get("/echo/{value}")
async def echoed(value: int) -> int:
    result = await echo.adelay(value)
    inside.note(result.id)
    return await result.aget(timeout=60)


@web.get("/threaded/{value}")
def echoed_in_a_thread(value: int) -> int:
    result = echo.delay(value)
    inside.note(result.id)
    return result.get(timeout=60)


@web.get("/afterwards/{value}")
async def sent_afterwards(value: int, background: BackgroundTasks) -> int:
    background.add_task(_send, value)
    background.add_task(_asend, value)
    return value


def _send(value: int) -> None:
    inside.note(echo.delay(value).id)


async def _asend(value: int) -> None:
    inside.note((await echo.adelay(value)).id)


@web.get("/held/{value}")
async def waited(value: int) -> int:
    result = await held.adelay(value)
    inside.note(result.id)
    return await result.aget(timeout=60)


@web.get("/held_in_a_thread/{value}")
def waited_in_a_thread(value: int) -> int:
    result = held.delay(value)
    inside.note(result.id)
    return result.get(timeout=60)


@web.get("/stream/{value}")
async def streamed(value: int) -> StreamingResponse:
    """First a line at once, then what it was waited for: whoever hangs up meanwhile cancels this."""
    result = await held.adelay(value)
    inside.note(result.id)

    async def lines() -> AsyncIterator[str]:
        yield f"{result.id}\n"
        yield f"{await result.aget()}\n"

    return StreamingResponse(lines(), media_type="text/plain")


@web.get("/inside")
async def told() -> dict[str, Any]:
    return inside.told()
