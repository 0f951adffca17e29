"""The gateway's addresses: as routes for an app of yours, and as an app of its own."""

from typing import Unpack

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from polypool.app import Polypool
from polypool.rest import page
from polypool.rest.problem import Problem
from polypool.rest.settings import WebOptions, settings_of
from polypool.web.gateway import Gateway, response


def routes(app: Polypool, **options: Unpack[WebOptions]) -> list[Route]:
    """To mount in a Starlette or FastAPI app: `Mount("/jobs", routes=polypool.web.routes(app))`.

    Options, times in seconds: `tokens` (whoever shows one of them is let in; without any it is for your app to say who
    is), `rate` ("600/m", of each token or address), `body_bytes`, `longest_wait` (the most that ?wait= may be), `ping`
    (silence after which a stream of events shows that it lives), `grace` (for streams to end when the server stops).
    """
    return _routes(Gateway(app, settings_of(options)))


def asgi(app: Polypool, origins: tuple[str, ...] = (), **options: Unpack[WebOptions]) -> Starlette:
    """The gateway as an ASGI app of its own. `origins`: sites whose pages may call it ("https://example.com"), none
    unless you name them. Options as of `routes`."""
    return served(Gateway(app, settings_of(options)), origins)


def served(gateway: Gateway, origins: tuple[str, ...]) -> Starlette:
    """The ASGI app around a gateway."""
    cors = Middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=["authorization", "content-type", "idempotency-key", "last-event-id"],
        expose_headers=["location", "retry-after"],
    )
    return Starlette(
        routes=_routes(gateway),
        middleware=[cors] if origins else [],
        exception_handlers={HTTPException: _refused, Exception: _failed},
    )


def _routes(gateway: Gateway) -> list[Route]:
    return [
        Route("/tasks/{task:path}", gateway.sending(), methods=["POST"]),
        Route("/results/{id}/events", gateway.streaming(), methods=["GET"]),
        Route("/results/{id}", gateway.telling(), methods=["GET"]),
        Route("/results/{id}", gateway.cancelling(), methods=["DELETE"]),
        Route("/openapi.json", gateway.describing(), methods=["GET"]),
        Route("/docs", docs_page, methods=["GET"]),
    ]


async def docs_page(request: Request) -> Response:
    """GET /docs."""
    return response(page.REPLY)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = {404: "There is nothing at this address; /docs tells what there is.", 405: "Not by this method."}
    problem = Problem(error.status_code, detail.get(error.status_code, error.detail), headers=error.headers)
    return response(problem.reply)


async def _failed(request: Request, error: Exception) -> Response:
    return response(Problem(500, "Something went wrong here; the server's log says what.").reply)
