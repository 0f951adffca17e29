"""FastAPI's door: an app's public tasks as a router, each with a route of its own in FastAPI's documentation. Needs
`polypool[fastapi]`."""

from typing import Any, Unpack
from urllib.parse import quote

from polypool.app import Polypool
from polypool.core.error import MissingExtra
from polypool.rest.openapi import Schema, openapi
from polypool.rest.settings import WebOptions, settings_of

try:
    from fastapi import APIRouter, Security
    from fastapi.security import HTTPBearer
    from starlette.responses import Response

    from polypool.web.asgi import docs_page
    from polypool.web.gateway import Endpoint, Gateway
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] not in ("fastapi", "starlette", "sse_starlette", "anyio"):
        raise
    raise MissingExtra(f"FastAPI's door needs {error.name}; install it: pip install polypool[fastapi]") from None

REFERENCE = "#/components/schemas/"


def router(app: Polypool, **options: Unpack[WebOptions]) -> APIRouter:
    """The app's public tasks over HTTP: `web.include_router(router(app), prefix="/jobs")`, with `dependencies=` where
    it is for them to say who may.

    Options as of `polypool.web.routes`. Sites whose pages may call it are named to FastAPI's own CORSMiddleware.
    """
    gateway = Gateway(app, settings_of(options))
    offer = gateway.answers.offer
    described = openapi(offer)
    made = APIRouter(dependencies=[Security(HTTPBearer(auto_error=False))] if offer.settings.tokens else [])

    def add(method: str, path: str, name: str, endpoint: Endpoint, told: Schema | None = None) -> None:
        shown = _documented(told, described["components"]["schemas"])
        shown |= {"methods": [method], "name": f"polypool.{name}"}
        made.add_api_route(path, endpoint, response_model=None, response_class=Response, **shown)

    paths = described["paths"]
    for name in offer.tasks:
        if "{" not in name:  # which has a meaning in a route's path
            add("POST", f"/tasks/{name}", f"send.{name}", gateway.sending(name), paths[f"/tasks/{quote(name)}"]["post"])
    add("POST", "/tasks/{task:path}", "send", gateway.sending())
    one, events = paths["/results/{id}"], paths["/results/{id}/events"]
    add("GET", "/results/{id}/events", "stream", gateway.streaming(), events["get"])
    add("GET", "/results/{id}", "tell", gateway.telling(), one["get"])
    add("DELETE", "/results/{id}", "cancel", gateway.cancelling(), one["delete"])
    add("GET", "/openapi.json", "describe", gateway.describing())
    add("GET", "/docs", "docs", docs_page)
    return made


def _documented(told: Schema | None, schemas: Schema) -> dict[str, Any]:
    """As FastAPI takes it; None for what its documentation does not show."""
    if told is None:
        return {"include_in_schema": False}
    whole: Schema = _inlined(told, schemas, ())
    first, *_ = (int(status) for status in whole["responses"])
    return {
        "status_code": first,
        "summary": whole.pop("summary"),
        "description": whole.pop("description", None),
        "tags": whole.pop("tags"),
        "operation_id": whole.pop("operationId", None),
        "openapi_extra": whole,
    }


def _inlined(told: Any, schemas: Schema, within: tuple[str, ...]) -> Any:
    """With every reference replaced by what it leads to: FastAPI's document has no room for schemas that pydantic did
    not make. A type within itself, such as a tree's node, may be anything there."""
    if isinstance(told, list):
        return [_inlined(one, schemas, within) for one in told]
    if not isinstance(told, dict):
        return told
    reference = told.get("$ref")
    if not isinstance(reference, str):
        # A union's discriminator names its members by reference; they tell themselves apart without it.
        return {key: _inlined(value, schemas, within) for key, value in told.items() if not _is_mapping(key, value)}
    name = reference.removeprefix(REFERENCE)
    if name in within:
        return {"title": name}
    return _inlined(schemas[name], schemas, (*within, name))


def _is_mapping(key: str, value: Any) -> bool:
    return key == "discriminator" and isinstance(value, dict) and isinstance(value.get("propertyName"), str)
