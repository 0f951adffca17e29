"""The provider's web application: chat completions that take as long, and are as limited, as the real ones.

It answers like OpenAI (JSON or a stream of server-sent events, errors and headers included), so the
official client cannot tell the difference until it reads the text: eyes.py and answers.py say how
simply that comes about.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from examples.provider import wire
from examples.provider.answers import in_pieces, say_from_facts, say_what_is_seen
from examples.provider.counters import Counters
from examples.provider.eyes import NotAPicture, look
from examples.provider.latency import CHAT, VISION
from examples.provider.limits import Limits

MODELS = ("stand-in-vision", "stand-in-chat")
FIRST_WORD_AFTER = 0.25  # of the whole latency; the rest is spent on the words


@dataclass
class Account:
    """One customer's account: its limits, its counters, and the pace that time runs at."""

    limits: Limits
    scale: float
    counters: Counters = field(default_factory=Counters)
    chance: random.Random = field(default_factory=random.Random)


@dataclass(frozen=True)
class Plan:
    """An answer that is known already, what it costs, and the moment (event loop's clock) by which to have said it."""

    request: wire.ChatRequest
    answer: str
    starts_at: float
    ends_at: float
    answer_id: str
    created: int
    tokens: int


def create_app(account: Account) -> Starlette:
    routes = [
        Route("/v1/chat/completions", chat_completions, methods=["POST"]),
        Route("/v1/models", models),
        Route("/stats", stats),
        Route("/limits", change_limits, methods=["PUT"]),
    ]
    app = Starlette(routes=routes)
    app.state.account = account
    return app


async def models(request: Request) -> Response:
    listed = [{"id": name, "object": "model", "created": 0, "owned_by": "examples"} for name in MODELS]
    return JSONResponse({"object": "list", "data": listed})


async def stats(request: Request) -> Response:
    return JSONResponse(request.app.state.account.counters.as_json())


class NewLimits(msgspec.Struct):
    """What `PUT /limits` takes: both limits a minute."""

    requests: Annotated[int, msgspec.Meta(ge=1)]
    tokens: Annotated[int, msgspec.Meta(ge=1)]


async def change_limits(request: Request) -> Response:
    """Not OpenAI's: for trying out what happens when a provider's limits change under load."""
    try:
        new = msgspec.json.decode(await request.body(), type=NewLimits)
    except msgspec.MsgspecError as error:
        return refusal(400, f"Invalid limits: {error}", "invalid_request_error")
    request.app.state.account.limits.change(new.requests, new.tokens, time.monotonic())
    return Response(status_code=204)


async def chat_completions(http: Request) -> Response:
    account: Account = http.app.state.account
    if not http.headers.get("authorization", "").startswith("Bearer "):
        return refusal(401, "You didn't provide an API key.", "invalid_request_error", "invalid_api_key")
    try:
        request = wire.read_chat_request(await http.body())
        images = request.images()
    except wire.BadRequest as error:
        return refusal(400, str(error), "invalid_request_error")
    asked = request.tokens_at_most()
    verdict = account.limits.admit(asked, time.monotonic())
    headers = wire.limit_headers(verdict)
    if not verdict.granted:
        account.counters.refused += 1
        message = wire.limit_message(request.model, verdict, asked)
        return refusal(429, message, verdict.stopped_by, "rate_limit_exceeded", headers)
    try:
        plan = await plan_answer(account, request, images)
    except NotAPicture as error:
        return refusal(400, str(error), "invalid_request_error", "invalid_image", headers)
    if request.stream:
        return StreamingResponse(stream(account, plan), media_type="text/event-stream", headers=headers)
    with account.counters.one_more():
        await until(plan.ends_at)
    settle(account, plan)
    return JSONResponse(wire.completion(request, plan.answer_id, plan.created, plan.answer), headers=headers)


async def plan_answer(account: Account, request: wire.ChatRequest, images: list[bytes]) -> Plan:
    """Find the answer, and draw how long saying it is to take, counted from now."""
    now = asyncio.get_running_loop().time()
    latency = (VISION if images else CHAT).scaled(account.scale).draw(account.chance)
    if images:
        answer = say_what_is_seen(await asyncio.to_thread(look, images[0]))
    else:
        answer = say_from_facts(request.text())
    tokens = wire.usage(request, answer)["total_tokens"]
    account.counters.tokens += tokens
    answer_id = f"chatcmpl-{account.chance.getrandbits(96):024x}"
    return Plan(request, answer, now, now + latency, answer_id, int(time.time()), tokens)


async def stream(account: Account, plan: Plan) -> AsyncIterator[bytes]:
    """The answer word by word: a wait for the first, then evenly until the latency is over."""
    request, pieces = plan.request, in_pieces(plan.answer)
    first_at = plan.starts_at + FIRST_WORD_AFTER * (plan.ends_at - plan.starts_at)
    with account.counters.one_more():
        yield event(wire.chunk(request, plan.answer_id, plan.created, {"role": "assistant", "content": ""}))
        for index, piece in enumerate(pieces):
            await until(first_at + (plan.ends_at - first_at) * index / max(1, len(pieces) - 1))
            yield event(wire.chunk(request, plan.answer_id, plan.created, {"content": piece}))
        settle(account, plan)
        yield event(wire.chunk(request, plan.answer_id, plan.created, {}, finish="stop"))
        if request.stream_options and request.stream_options.include_usage:
            yield event(wire.usage_chunk(request, plan.answer_id, plan.created, plan.answer))
        yield b"data: [DONE]\n\n"


def settle(account: Account, plan: Plan) -> None:
    account.limits.settle(plan.request.tokens_at_most(), plan.tokens, time.monotonic())


async def until(moment: float) -> None:
    await asyncio.sleep(max(0.0, moment - asyncio.get_running_loop().time()))


def event(data: dict[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode(data) + b"\n\n"


def refusal(
    status: int, message: str, kind: str, code: str | None = None, headers: dict[str, str] | None = None
) -> Response:
    return JSONResponse(wire.error_body(message, kind, code), status_code=status, headers=headers)
