"""The web app: take addresses, stream what is there as it is found.

    POST /visits               a JSON list of addresses → 202, the group's id and where it is told
    GET  /visits/{id}/{count}  a line of JSON for each address, as soon as it has been visited
    /jobs/…                    one visit without an endpoint of its own: /docs shows how

    polypool worker examples.web_fastapi.tasks:app &
    uvicorn examples.web_fastapi.web:web
    curl -N localhost:8000/visits/…

A client that hangs up ends the stream, and the wait behind it; the visits go on.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from examples.web_fastapi.tasks import Visit, app, visit
from polypool import GroupResult, TaskError
from polypool.doors.fastapi import router


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    yield
    await asyncio.to_thread(app.close)  # not needed, but tidy: the engine sees a farewell, not a broken connection


web = FastAPI(lifespan=lifespan)
web.include_router(router(app), prefix="/jobs")


@web.post("/visits")
async def send_visits(urls: list[str], request: Request) -> Response:
    group = await visit.amap(urls, expires=600)
    here = str(request.url_for("tell_visits", id=group.id, count=len(group)))
    return JSONResponse({"id": group.id, "told": here}, status_code=202, headers={"location": here})


@web.get("/visits/{id}/{count}")
async def tell_visits(id: str, count: int) -> Response:
    return StreamingResponse(lines_of(app.group_result(id, count)), media_type="application/x-ndjson")


async def lines_of(group: GroupResult[Visit]) -> AsyncIterator[bytes]:
    async for ended in group.aas_completed():
        try:
            found: object = await ended
        except TaskError as error:
            found = {"error": str(error)}
        yield msgspec.json.encode(found) + b"\n"
