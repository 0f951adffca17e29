"""Gateway: carries requests of Starlette to the answers, and answers back."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from polypool.app import Polypool
from polypool.conversation import Conversation
from polypool.core.ask import Ask, Await
from polypool.core.error import EngineError, SendError
from polypool.rest.answers import Answers
from polypool.rest.exchange import Call, Reply, root_above
from polypool.rest.problem import Problem
from polypool.rest.settings import WebSettings
from polypool.web.stream import stream_of

T = TypeVar("T")

Endpoint = Callable[[Request], Awaitable[Response]]
Answering = Callable[[Call, str, Request], Awaitable[Response]]
"""With who it is."""


class Gateway:
    """The interface's addresses as endpoints; whoever is not let in sees none of them."""

    def __init__(self, app: Polypool, settings: WebSettings) -> None:
        self.answers = Answers(app, settings)
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Answer those who wait for a result with how it stands."""
        self._stopping.set()

    def sending(self, name: str | None = None) -> Endpoint:
        """POST /tasks/{task}; with a name for this task alone."""

        async def send(call: Call, client: str, request: Request) -> Response:
            task = request.path_params["task"] if name is None else name
            self.answers.expect(call, task)
            content = await self._content(request)
            return response(await self._hold(self.answers.send(call, client, task, content)))

        return self._guarded(send, "/tasks/{task}", {} if name is None else {"task": name})

    def telling(self) -> Endpoint:
        """GET /results/{id}."""

        async def tell(call: Call, client: str, request: Request) -> Response:
            return response(await self._hold(self.answers.tell(call, request.path_params["id"])))

        return self._guarded(tell, "/results/{id}")

    def cancelling(self) -> Endpoint:
        """DELETE /results/{id}."""

        async def cancel(call: Call, client: str, request: Request) -> Response:
            return response(await self._hold(self.answers.cancel(request.path_params["id"])))

        return self._guarded(cancel, "/results/{id}")

    def streaming(self) -> Endpoint:
        """GET /results/{id}/events."""

        async def stream(call: Call, client: str, request: Request) -> Response:
            told = await self._hold(self.answers.watch(call, request.path_params["id"]))
            if isinstance(told, Reply):
                return response(told)
            return stream_of(told, self.answers.outlet, self.answers.settings)

        return self._guarded(stream, "/results/{id}/events")

    def describing(self) -> Endpoint:
        """GET /openapi.json."""

        async def describe(call: Call, client: str, request: Request) -> Response:
            return response(self.answers.describe(call))

        return self._guarded(describe, "/openapi.json")

    def _guarded(self, endpoint: Answering, address: str, known: Mapping[str, str] = {}) -> Endpoint:
        """It for those who are let in, with every error as an answer."""

        async def respond(request: Request) -> Response:
            call = _call(request, address.format(**{**request.path_params, **known}))
            try:
                return await endpoint(call, self.answers.admit(call), request)
            except (Problem, EngineError, SendError) as error:
                return response(self.answers.refusal(error, call))
            except ClientDisconnect:
                return Response(status_code=400)  # which nobody hears

        return respond

    async def _content(self, request: Request) -> bytes:
        content = bytearray()
        async for chunk in request.stream():
            content += chunk
            if len(content) > self.answers.settings.body_bytes:
                raise self.answers.too_large()
        return bytes(content)

    async def _hold(self, conversation: Conversation[T]) -> T:
        """As `ahold` does; a wait for a result ends when the server stops."""
        try:
            ask = next(conversation)
            while True:
                ask = conversation.send(await self._answer(ask))
        except StopIteration as end:
            outcome: T = end.value
            return outcome

    async def _answer(self, ask: Ask) -> object:
        answer = self.answers.outlet.line.ask(ask)
        return await (self._until_stopping(answer) if isinstance(ask, Await) else answer)

    async def _until_stopping(self, answer: Awaitable[object]) -> object:
        ending = asyncio.ensure_future(answer)
        stop = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({ending, stop}, return_when=asyncio.FIRST_COMPLETED)
            return ending.result() if ending.done() else []
        finally:
            ending.cancel()
            stop.cancel()


def response(reply: Reply) -> Response:
    """As Starlette sends it."""
    return Response(reply.content, reply.status, reply.headers, reply.media_type)


def _call(request: Request, address: str) -> Call:
    scope_root, path = str(request.scope.get("root_path", "")), str(request.scope["path"])
    # A server or a mount says where it stands within the path; a FastAPI(root_path=…) beside it.
    whole = path if path.startswith(f"{scope_root}/") else scope_root + path
    query = request.query_params
    return Call(
        method=request.method,
        path=whole,
        root=root_above(whole, address),
        address=request.client.host if request.client else "",
        header=request.headers.get,
        query=query.get,
    )
