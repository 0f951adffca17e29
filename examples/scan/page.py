"""The page for people: one file without outside resources, and photographs for who has none at hand."""

import asyncio
from functools import cache
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from examples.photographs import CATALOGUE, as_taken

PAGE = Path(__file__).with_name("page.html")
SAMPLES = ("coffee", "motorcycle_left", "rocket")
# The page may load nothing from elsewhere, and nothing that came with a photo or an answer can run.
HEADERS = {
    "content-security-policy": "default-src 'none'; connect-src 'self'; img-src 'self' blob: data:; "
    "style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
    "cache-control": "no-cache",
}


async def show_page(_: Request) -> Response:
    return FileResponse(PAGE, media_type="text/html", headers=HEADERS)


async def show_sample(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in SAMPLES:
        raise HTTPException(404, f"There is no photograph {name}; there are {', '.join(SAMPLES)}.")
    jpeg = await asyncio.to_thread(sample, name)
    return Response(jpeg, media_type="image/jpeg", headers={"cache-control": "max-age=3600"})


@cache
def sample(name: str) -> bytes:
    """A JPEG as a phone would send it."""
    return as_taken(next(one for one in CATALOGUE if Path(one.file).stem == name), seed=7)


routes = [Route("/", show_page), Route("/samples/{name}", show_sample)]
