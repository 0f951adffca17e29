"""OpenAPI 3.1 of what an app offers, made of the tasks' annotations."""

import inspect
from collections.abc import Iterable
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import msgspec

from polypool.arguments.annotation import hints_of, plain_type
from polypool.rest.body import Body, Field
from polypool.rest.offer import Offer
from polypool.task import Task

Schema = dict[str, Any]
_TEMPLATE = "#/components/schemas/{name}"

_PROBLEM: Schema = {
    "type": "object",
    "description": "What was refused, and what to do about it (RFC 9457).",
    "properties": {
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {name: {"type": "string"} for name in ("parameter", "message", "at")},
            },
        },
    },
    "required": ["title", "status", "detail"],
}
_SENT: Schema = {
    "type": "object",
    "description": "Where to ask for the result, and for events.",
    "properties": {name: {"type": "string"} for name in ("id", "result", "events")},
    "required": ["id", "result", "events"],
}
_STATES = ["scheduled", "queued", "running", "succeeded", "failed", "cancelled"]
_SEEN_LAST: Schema = {
    "name": "Last-Event-ID",
    "in": "header",
    "schema": {"type": "string"},
    "description": "Go on after this event; also as ?after=.",
}
_KEY: Schema = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "minLength": 16, "maxLength": 200},
    "description": "The same key again is the same task again: a request can be repeated.",
}


def openapi(offer: Offer, root: str = "") -> Schema:
    """The document; `root` is where the interface is mounted."""
    schemas = Schemas(_types(offer))
    paths: Schema = {
        f"/tasks/{quote(task.name)}": {"post": _sending(task, offer, schemas)} for task in offer.tasks.values()
    } | _results(offer)
    components: Schema = {"schemas": {**schemas.components, **_OURS}}
    told: Schema = {"openapi": "3.1.0", "info": {"title": offer.name, "version": "1"}}
    if offer.settings.tokens:
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        told["security"] = [{"token": []}]
    return told | {"servers": [{"url": root or "/"}], "paths": paths, "components": components}


class Schemas:
    """JSON Schemas of types, by msgspec; one that it has none for may be anything."""

    def __init__(self, types: Iterable[Any]) -> None:
        self._described = [one for one in types if _has_schema(one)]
        made, found = msgspec.json.schema_components(self._described, ref_template=_TEMPLATE)
        self._made = list(made)
        self.components: Schema = dict(found)

    def of(self, type: Any) -> Schema:
        for known, schema in zip(self._described, self._made, strict=True):
            if known is type or known == type:
                return dict(schema)
        return {}


def _types(offer: Offer) -> list[Any]:
    found = [field.type for body in offer.bodies.values() for field in body.fields.values()]
    found += [body.others for body in offer.bodies.values() if body.others is not None]
    return found + [_returned(task) for task in offer.tasks.values()]


def _returned(task: Task[..., Any, Any]) -> Any:
    return plain_type(hints_of(task.function).get("return", Any))


def _has_schema(type: Any) -> bool:
    try:
        msgspec.json.schema_components([type], ref_template=_TEMPLATE)
    except Exception:
        return False  # annotations may hold anything, and msgspec raises many kinds of error over them
    return True


def _sending(task: Task[..., Any, Any], offer: Offer, schemas: Schemas) -> Schema:
    body = offer.bodies[task.name]
    summary, _, description = (inspect.getdoc(task.function) or "").partition("\n")
    told: Schema = {"operationId": task.name, "tags": ["tasks"], "summary": summary or task.name}
    if description.strip():
        told["description"] = description.strip()
    told["parameters"] = [_wait(offer), _KEY]
    told["requestBody"] = {"required": True, "content": {"application/json": {"schema": _object(body, schemas)}}}
    ended = _result(schemas.of(_returned(task)))
    told["responses"] = {
        "202": _answer("It was sent.", {"$ref": "#/components/schemas/polypool.Sent"}),
        "200": _answer("It has ended within ?wait=.", ended),
        **_refusals("400", "401", "413", "415", "422", "429", "503"),
    }
    return told


def _object(body: Body, schemas: Schemas) -> Schema:
    properties = {name: _property(field, schemas) for name, field in body.fields.items()}
    others = False if body.others is None else schemas.of(body.others)
    told: Schema = {"type": "object", "properties": properties, "additionalProperties": others}
    if required := [field.name for field in body.fields.values() if field.is_required]:
        told["required"] = required
    return told


def _property(field: Field, schemas: Schemas) -> Schema:
    schema = schemas.of(field.type)
    if field.default is not inspect.Parameter.empty:
        # One that has no form in JSON is not told; the task has it all the same.
        with suppress(TypeError, ValueError):
            schema["default"] = msgspec.to_builtins(field.default, str_keys=True)
    return schema


def _results(offer: Offer) -> Schema:
    id = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
    one: Schema = {"$ref": "#/components/schemas/polypool.Result"}
    gone = _refusals("401", "404", "410", "429", "503")
    tell = {
        "summary": "How a task stands, and its result",
        "parameters": [id, _wait(offer)],
        "responses": {"200": _answer("How it stands.", one), **gone},
    }
    cancel = {
        "summary": "Cancel a task",
        "parameters": [id],
        "responses": {
            "202": _answer("It is being cancelled.", one),
            "200": _answer("It had ended before.", one),
            **gone,
        },
    }
    events = {
        "summary": "What a task tells, as server-sent events: started, progress, emit, gone, end",
        "parameters": [id, _SEEN_LAST],
        "responses": {
            "200": {"description": "Events.", "content": {"text/event-stream": {"schema": {"type": "string"}}}},
            "204": {"description": "All of them were seen."},
            **_refusals("400", "401", "404", "410", "429", "503"),
        },
    }
    tagged = {"tags": ["results"]}
    return {
        "/results/{id}": {"get": tagged | tell, "delete": tagged | cancel},
        "/results/{id}/events": {"get": tagged | events},
    }


def _result(value: Schema) -> Schema:
    failed = {"type": "object", "properties": {name: {"type": "string"} for name in ("type", "message")}}
    properties: Schema = {
        "id": {"type": "string"},
        "task": {"type": "string"},
        "status": {"enum": _STATES},
        "result": value,
        "error": failed,
        "ended_at": {"type": "number", "description": "Unix time in seconds."},
    }
    return {"type": "object", "properties": properties, "required": ["id", "task", "status"]}


def _wait(offer: Offer) -> Schema:
    most = offer.settings.longest_wait
    about = f"Wait for the result for so many seconds, at most {most:g}."
    return {"name": "wait", "in": "query", "schema": {"type": "number", "minimum": 0}, "description": about}


def _answer(description: str, schema: Schema) -> Schema:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _refusals(*statuses: str) -> Schema:
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/polypool.Problem"}}}
    return {status: {"description": _REFUSALS[status], "content": content} for status in statuses}


_REFUSALS = {
    "400": "It cannot be read.",
    "401": "No valid token.",
    "404": "Unknown.",
    "410": "It was there, and is not kept any more.",
    "413": "Too large.",
    "415": "Not JSON.",
    "422": "Parameters that do not fit; `errors` names each.",
    "429": "Too many requests.",
    "503": "The engine is away; Retry-After says when to come again.",
}

_OURS = {"polypool.Problem": _PROBLEM, "polypool.Sent": _SENT, "polypool.Result": _result({})}
"""With a name in front that no class of the app's has."""
