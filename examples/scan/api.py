"""The web API: take a photo, give back an id, and tell its story as it unfolds.

    GET  /                   a page to choose a photo and watch
    POST /scans              a photo (the body, or a form's file "photo") → 202 with id and addresses
    GET  /scans/{id}         how it stands, and the result once it is there
    GET  /scans/{id}/stages  each stage: to come, waiting, running or over, and for how long
    GET  /scans/{id}/events  its story as server-sent events: progress, word, again, end

Run it with `python -m examples.scan.api`.
"""

import argparse
import asyncio
import re
import uuid
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.scan import page
from examples.scan.app import Scan, scan
from examples.scan.app import app as polypool
from examples.scan.settings import FOLDER
from examples.scan.stages import STAGES as POOLS
from examples.scan.stages import stages_of
from examples.serving import listen, serve
from polypool import AsyncResult, Emitted, Ended, ResultUnknown, Started, TaskError

PHOTO_BYTES = 20_000_000
STAGES = tuple(POOLS)
EVENT_ID = re.compile(r"(\d+)\.(\d+-\d+)?")
"""The number of a stage and, in it, the id of an event."""


async def send_photo(request: Request) -> Response:
    photo = await photo_in(request)
    path = FOLDER / f"{uuid.uuid4().hex}.jpg"
    await asyncio.to_thread(path.write_bytes, photo)
    result = await scan(str(path)).adelay()
    here = f"/scans/{result.id}"
    found_at = {"id": result.id, "result": here, "events": f"{here}/events"}
    return JSONResponse(found_at, status_code=202, headers={"location": here})


async def photo_in(request: Request) -> bytes:
    if int(request.headers.get("content-length", 0)) > PHOTO_BYTES:
        raise HTTPException(413, f"Photos may have {PHOTO_BYTES // 1_000_000} MB at most.")
    kind = request.headers.get("content-type", "")
    if kind.startswith("image/"):
        return await request.body()
    if kind.startswith("multipart/form-data"):
        async with request.form() as form:
            photo = form.get("photo")
            if isinstance(photo, UploadFile):
                return await photo.read()
    raise HTTPException(415, 'Send a photo: as the body (content-type: image/…) or as the form\'s file "photo".')


async def how_it_stands(request: Request) -> Response:
    result, status = await known(request)
    story = {"id": result.id, "status": status}
    return Response(msgspec.json.encode(story | await ending_of(result, status)), media_type="application/json")


async def known(request: Request) -> tuple[AsyncResult[Scan], str]:
    """The scan that the address names, and how it stands."""
    result: AsyncResult[Scan] = polypool.result(request.path_params["id"])
    status = await result.astatus()
    if status == "unknown":
        raise HTTPException(404, f"There is no scan {result.id}, or no longer.")
    return result, status


async def ending_of(result: AsyncResult[Scan], status: str) -> dict[str, object]:
    """What there is to say of a scan that has ended; nothing of one that has not."""
    if status not in ("succeeded", "failed", "cancelled"):
        return {}
    try:
        return {"result": await result}
    except TaskError as error:
        return {"error": str(error)}


async def tell_stages(request: Request) -> Response:
    result, status = await known(request)
    try:
        stages = await stages_of(polypool, result.id)
    except ResultUnknown as error:
        raise HTTPException(404, str(error)) from error
    return Response(msgspec.json.encode({"status": status, "stages": stages}), media_type="application/json")


async def tell_events(request: Request) -> Response:
    """A browser that lost the connection says what it saw last (`?after=` in a request of its own), and goes on from
    there."""
    result, _ = await known(request)
    seen_last = request.headers.get("last-event-id") or request.query_params.get("after", "")
    if seen_last and not EVENT_ID.fullmatch(seen_last):
        raise HTTPException(400, f"{seen_last!r} is no event's id; leave it out to begin with the first.")
    return EventSourceResponse(story_of(result, seen_last))


async def story_of(result: AsyncResult[Scan], seen_last: str) -> AsyncIterator[ServerSentEvent]:
    """The chain's story is that of its stages, one after the other. An event's id says where to go on: the number of a
    stage, and which of its events was the last."""
    number, _, after = seen_last.partition(".")
    first = int(number) if number.isdecimal() else 0
    for done, stage in enumerate(STAGES[first:], first + 1):
        async for event in stage_of(result, done).aevents(after or None):
            if isinstance(event, Emitted):
                yield told("word", event.data, f"{done - 1}.{event.id}")
            elif isinstance(event, Started):  # a further attempt: its words take the place of those before
                yield told("again", {"stage": stage, "attempt": event.attempt}, f"{done - 1}.{event.id}")
            elif isinstance(event, Ended) and event.state == "succeeded":
                yield told("progress", {"done": done, "total": len(STAGES), "note": stage}, f"{done}.")
        after = ""
    status = await result.astatus()
    yield told("end", {"status": status} | await ending_of(result, status), f"{len(STAGES)}.")


def stage_of(result: AsyncResult[Scan], number: int) -> AsyncResult[Any]:
    """A chain's id is that of its last step; the others are numbered from 0."""
    return result if number == len(STAGES) else polypool.result(f"{result.id}.{number - 1}")


def told(kind: str, data: object, event_id: str) -> ServerSentEvent:
    return ServerSentEvent(msgspec.json.encode(data).decode(), event=kind, id=event_id)


def create_app() -> Starlette:
    return Starlette(
        routes=[
            Route("/scans", send_photo, methods=["POST"]),
            Route("/scans/{id}", how_it_stands),
            Route("/scans/{id}/stages", tell_stages),
            Route("/scans/{id}/events", tell_events),
            *page.routes,
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m examples.scan.api", description="Serve the scan API.")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one (default 8000)")
    serve(create_app(), listen(parser.parse_args().port))


if __name__ == "__main__":
    main()
