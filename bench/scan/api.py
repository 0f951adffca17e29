"""The web API that the users talk to: POST /scans sends a chain, GET /scans/{id}/events tells its story.

`python -m bench.scan.api`; the engine is that of POLYPOOL_BROKER.
"""

from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from bench.scan.app import app, scan
from bench.scan.plan import STAGES
from examples.serving import listen, serve
from polypool import Ended, Progress, TaskError


async def send(request: Request) -> Response:
    await request.body()
    sent = await scan(0).adelay()
    return JSONResponse({"id": sent.id, "events": f"/scans/{sent.id}/events"}, status_code=202)


async def events(request: Request) -> Response:
    return StreamingResponse(story(request.path_params["id"]), media_type="text/event-stream")


async def story(scan_id: str) -> AsyncIterator[str]:
    """That of its stages, one after the other; a chain's id is that of its last step."""
    state = ""
    for number, stage in enumerate(STAGES):
        step = scan_id if number == len(STAGES) - 1 else f"{scan_id}.{number}"
        async for event in app.result(step).aevents():
            if isinstance(event, Progress):
                yield f"event: begins\ndata: {event.note}\n\n"
            elif isinstance(event, Ended):
                state = event.state
                yield f"event: progress\ndata: {stage} {state}\n\n"
    yield f"event: end\ndata: {state}{'' if state == 'succeeded' else await reason(scan_id)}\n\n"


async def reason(scan_id: str) -> str:
    """Why there is no result, on one line."""
    try:
        await app.result(scan_id)
    except TaskError as error:
        return f": {type(error).__name__}: {' '.join(str(error).split())[:300]}"
    return ""


if __name__ == "__main__":
    routes = [Route("/scans", send, methods=["POST"]), Route("/scans/{id}/events", events)]
    serve(Starlette(routes=routes), listen(0))
