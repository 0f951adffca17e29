"""What the FastAPI app hands over. Visiting pages is waiting, so it runs on an event loop, hundreds at a time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from polypool import Polypool, current


@asynccontextmanager
async def one_client(_: Any) -> AsyncIterator[httpx.AsyncClient]:
    """The HTTP client that all visits of a worker's child share: `current.state`."""
    async with httpx.AsyncClient(follow_redirects=True, timeout=20) as client:
        yield client


app = Polypool("links", lifespan=one_client)


@dataclass
class Visit:
    """What there is at an address: the status of HTTP, or the reason why there is none."""

    url: str
    status: int = 0
    error: str = ""


@app.task(public=True, max_retries=2, autoretry_for=(httpx.TransportError,), retry_backoff=0.5)
async def visit(url: str) -> Visit:
    client: httpx.AsyncClient = current.state
    try:
        answer = await client.get(url)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        return Visit(url, error=str(error))
    return Visit(url, answer.status_code)
