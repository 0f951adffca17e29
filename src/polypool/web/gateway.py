"""Gateway: what each request asks of the app, and what it is answered."""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from polypool.app import Polypool
from polypool.core.ask import Await, Read
from polypool.core.error import DuplicateTask, EngineError, MessageTooLarge, PolypoolError, SendError
from polypool.core.event import Record, cursor
from polypool.task import Task
from polypool.web.body import Body
from polypool.web.document import Document, document_of, encoded
from polypool.web.guard import Guard
from polypool.web.problem import Problem
from polypool.web.settings import WebSettings
from polypool.web.stream import OVER, stream_of

RETRY_AFTER_S = 2
LONGEST_KEY = 200

log = logging.getLogger("polypool.web")

Endpoint = Callable[[Request], Awaitable[Response]]


class Gateway:
    """Sends the app's public tasks, and tells what became of them; of others it knows nothing."""

    def __init__(self, app: Polypool, settings: WebSettings) -> None:
        self.settings = settings
        self.bodies = {name: Body(task) for name, task in app.tasks.items() if task.is_public}
        self._app = app
        self._guard = Guard(settings)
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Answer those who wait for a result with how it stands."""
        self._stopping.set()

    def guarded(self, endpoint: Callable[[Request, str], Awaitable[Response]]) -> Endpoint:
        """It for those who are let in, with every error as an answer."""

        async def respond(request: Request) -> Response:
            try:
                return await endpoint(request, self._guard.admit(request))
            except Problem as problem:
                return problem.response()
            except EngineError as error:
                log.warning("%s %s: %s", request.method, request.url.path, error)
                return _away(request.method).response()
            except ClientDisconnect:
                return Response(status_code=400)  # which nobody hears

        return respond

    async def send(self, request: Request, client: str) -> Response:
        """POST /tasks/{task}."""
        name = request.path_params["task"]
        body = self.bodies.get(name)
        if body is None:
            raise Problem(404, f"There is no task {name!r} here.")
        wait = self._wait(request)
        args, kwargs = body.read(await self._content(request))
        id = await self._send(self._app.tasks[name], args, kwargs, _id_for(request, client, name))
        record = await self._ended(id, wait) if wait else None
        if record is None:
            (record,) = await self._ask(Read([id])) if wait else (None,)
        location = f"{request.scope.get('root_path', '')}/results/{id}"
        if record is None or not record.state.is_final:
            told = {"location": location, "cache-control": "no-store"}
            links = {"id": id, "result": location, "events": f"{location}/events"}
            return _json(links, 202, told)
        return (await self._document(record)).response(200, location)

    async def tell(self, request: Request, client: str) -> Response:
        """GET /results/{id}."""
        wait = self._wait(request)
        record = await self._known(request.path_params["id"])
        if wait and not record.state.is_final:
            record = await self._ended(record.id, wait) or await self._known(record.id)
        return (await self._document(record)).response(200)

    async def cancel(self, request: Request, client: str) -> Response:
        """DELETE /results/{id}."""
        record = await self._known(request.path_params["id"])
        was_ended = await self._app.result(record.id).acancel()
        document = await self._document(await self._known(record.id))
        return document.response(202 if was_ended else 200)

    async def stream(self, request: Request, client: str) -> Response:
        """GET /results/{id}/events."""
        after = request.headers.get("last-event-id") or request.query_params.get("after") or None
        if after == OVER:
            return Response(status_code=204)  # to a browser: do not come again
        if after is not None:
            try:
                cursor(after)
            except ValueError as error:
                raise Problem(400, f"Last-Event-ID: {error}, and an empty one begins at the beginning.") from None
        id = request.path_params["id"]
        record = await self._record(id)
        if record is None and after is not None:
            raise Problem(410, f"Task {id} is no longer known here: its time to live is over, or it was purged.")
        if record is None:
            raise _unknown(id)
        return stream_of(id, after, self._app.outlet, self.settings)

    async def _send(self, task: Task[..., Any, Any], args: tuple[Any, ...], kwargs: Any, id: str) -> str:
        try:
            _ = await task.aapply_async(args, kwargs, task_id=id)
        except DuplicateTask:
            return id  # the same request again: it is told the same
        except MessageTooLarge as error:
            raise Problem(413, str(error)) from None
        except SendError as error:
            raise Problem(422, str(error)) from None
        return id

    async def _content(self, request: Request) -> bytes:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            # Also what keeps other sites' pages out: a browser asks first before it sends this type.
            raise Problem(415, "Send the parameters as JSON, with the header: Content-Type: application/json")
        most = self.settings.body_bytes
        too_large = Problem(413, f"A body may have {most:,} bytes here.", headers={"connection": "close"})
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared[:20]) > most:
            raise too_large
        content = bytearray()
        async for chunk in request.stream():
            content += chunk
            if len(content) > most:
                raise too_large
        return bytes(content)

    def _wait(self, request: Request) -> float:
        given = request.query_params.get("wait")
        if given is None:
            return 0.0
        try:
            wait = float(given)
        except ValueError:
            wait = -1.0
        if not wait >= 0:
            raise Problem(422, f"wait={given}: it is a number of seconds, at most {self.settings.longest_wait:g}")
        return min(wait, self.settings.longest_wait)

    async def _ended(self, id: str, wait: float) -> Record | None:
        """None where it did not end in time, or the server is about to stop."""
        ending = asyncio.ensure_future(self._ask(Await([id], wait)))
        stop = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({ending, stop}, return_when=asyncio.FIRST_COMPLETED)
            return next(iter(ending.result()), None) if ending.done() else None
        finally:
            ending.cancel()
            stop.cancel()

    async def _known(self, id: str) -> Record:
        record = await self._record(id)
        if record is None:
            raise _unknown(id)
        return record

    async def _record(self, id: str) -> Record | None:
        """None as well for a task that is not public: who asks is not told that there is one."""
        (record,) = await self._ask(Read([id]))
        return record if record is not None and record.task in self.bodies else None

    async def _document(self, record: Record) -> Document:
        try:
            return await self._app.outlet.ahold(document_of(record, self._app.outlet))
        except EngineError:
            raise
        except PolypoolError as error:
            raise Problem(410, str(error)) from None

    async def _ask(self, ask: Any) -> Any:
        return await self._app.outlet.line.ask(ask)


def _id_for(request: Request, client: str, task: str) -> str:
    """Ids are what protects a result: not to be guessed, unlike those that one process counts up. With a key of the
    client's own it is the same each time, so that a request can be repeated."""
    key = request.headers.get("idempotency-key")
    if key is None:
        # As the app's own, in order of time, with 74 bits drawn at random.
        number = time.time_ns() // 1_000_000 << 80 | int.from_bytes(os.urandom(10), "big")
        return f"{number & ~(0xF << 76) & ~(0x3 << 62) | 0x7 << 76 | 0x2 << 62:032x}"
    if not 16 <= len(key) <= LONGEST_KEY:
        raise Problem(422, f"Idempotency-Key: it has 16 to {LONGEST_KEY} characters, such as a UUID")
    return sha256("\n".join((client, task, key)).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _json(value: Any, status: int, headers: dict[str, str]) -> Response:
    return Response(encoded(value), status, headers, "application/json")


def _unknown(id: str) -> Problem:
    return Problem(404, f"No task {id} is known here: it was never sent, was purged, or its time to live is over.")


def _away(method: str) -> Problem:
    detail = "The engine that keeps the tasks cannot be used at the moment."
    if method == "POST":
        detail += " Whether the task was accepted is not known; with an Idempotency-Key it is safe to send it again."
    return Problem(503, detail, headers={"retry-after": str(RETRY_AFTER_S)})
