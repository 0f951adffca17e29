"""Flask's door: an app's public tasks as a blueprint, and tasks that run in a Flask app's context. Needs
`polypool[flask]`."""

import logging
import math
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager
from typing import Any, Unpack

import msgspec

from polypool.app import Polypool
from polypool.core.ask import Follow
from polypool.core.error import EngineError, MissingExtra, SendError, UnknownOption
from polypool.core.event import Page
from polypool.rest import page
from polypool.rest.answers import Answers
from polypool.rest.exchange import Call, Reply, root_above
from polypool.rest.problem import Problem
from polypool.rest.settings import WebOptions, seconds_of, settings_of
from polypool.rest.story import AGAIN, RECONNECT_MS, Story, Told

try:
    from flask import Blueprint, Flask, Response, request
except ModuleNotFoundError as error:
    raise MissingExtra(f"Flask's door needs {error.name}; install it: pip install polypool[flask]") from None

CHUNK_BYTES = 65_536
PING = b": ping\r\n\r\n"
NOTHING_YET = Page()
METHODS = "GET, POST, DELETE"
SENT_HEADERS = "authorization, content-type, idempotency-key, last-event-id"
SHOWN_HEADERS = "location, retry-after"
PREFLIGHT_S = "600"

log = logging.getLogger("polypool.web")

Answering = Callable[[Call, str, dict[str, str]], Response]
"""With who it is, and the variable parts of the address."""


def blueprint(
    app: Polypool,
    *,
    origins: tuple[str, ...] = (),
    longest_stream: float = math.inf,
    name: str = "polypool",
    **options: Unpack[WebOptions],
) -> Blueprint:
    """The app's public tasks over HTTP: `web.register_blueprint(blueprint(app), url_prefix="/jobs")`.

    `origins`: sites whose pages may call it, none unless you name them. `longest_stream`: seconds after which a stream
    of events ends and its watcher comes again to go on; without it a stream lasts as long as the task. `name`: the
    blueprint's, to be another one for a second app. Other options as of `polypool.web.routes`, without `grace`.
    """
    if "grace" in options:
        raise UnknownOption("grace= is for ASGI servers; Flask's streams end by longest_stream=")
    if longest_stream != math.inf:
        longest_stream = seconds_of("longest_stream", longest_stream)
    door = _Door(Answers(app, settings_of(options)), longest_stream)
    made = Blueprint(name, __name__)
    for method, address, answer in (
        ("POST", "/tasks/<path:task>", door.send),
        ("GET", "/results/<id>/events", door.stream),
        ("GET", "/results/<id>", door.tell),
        ("DELETE", "/results/<id>", door.cancel),
        ("GET", "/openapi.json", door.describe),
    ):
        view = door.guarded(answer, address.replace("<path:", "{").replace("<", "{").replace(">", "}"))
        made.add_url_rule(address, answer.__name__, view, methods=[method])
    made.add_url_rule("/docs", "docs", lambda **_: _response(page.REPLY))
    if origins:
        made.after_request(_allowing(origins))
    return made


def in_app_context(web: Flask | Callable[[], Flask]) -> Callable[[Any], AbstractContextManager[Any]]:
    """A middleware that runs each task in a Flask app's context, for Flask-SQLAlchemy and its like:
    `Polypool("shop", middleware=[in_app_context(web)])`. `web` may be a function that returns the app."""

    def context(call: Any) -> AbstractContextManager[Any]:
        return (web if isinstance(web, Flask) else web()).app_context()

    return context


class _Door:
    """Carries Flask's requests to the answers, blocking in the way of the thread or greenlet that they run in."""

    def __init__(self, answers: Answers, longest_stream: float) -> None:
        self._answers = answers
        self._longest_stream = longest_stream

    def guarded(self, answer: Answering, address: str) -> Callable[..., Response]:
        """It for those who are let in, with every error as an answer."""

        def respond(**given: str) -> Response:
            call = _call(address.format(**given))
            try:
                return answer(call, self._answers.admit(call), given)
            except (Problem, EngineError, SendError) as error:
                return _response(self._answers.refusal(error, call))

        return respond

    def send(self, call: Call, client: str, given: dict[str, str]) -> Response:
        """POST /tasks/{task}."""
        self._answers.expect(call, given["task"])
        content = self._content()
        return _response(self._answers.outlet.hold(self._answers.send(call, client, given["task"], content)))

    def tell(self, call: Call, client: str, given: dict[str, str]) -> Response:
        """GET /results/{id}."""
        return _response(self._answers.outlet.hold(self._answers.tell(call, given["id"])))

    def cancel(self, call: Call, client: str, given: dict[str, str]) -> Response:
        """DELETE /results/{id}."""
        return _response(self._answers.outlet.hold(self._answers.cancel(given["id"])))

    def stream(self, call: Call, client: str, given: dict[str, str]) -> Response:
        """GET /results/{id}/events."""
        told = self._answers.outlet.hold(self._answers.watch(call, given["id"]))
        if isinstance(told, Reply):
            return _response(told)
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return Response(self._until(told), 200, headers, mimetype="text/event-stream")

    def describe(self, call: Call, client: str, given: dict[str, str]) -> Response:
        """GET /openapi.json."""
        return _response(self._answers.describe(call))

    def _content(self) -> bytes:
        most = self._answers.settings.body_bytes
        content = bytearray()
        while chunk := request.stream.read(min(CHUNK_BYTES, most + 1 - len(content))):
            content += chunk
            if len(content) > most:
                raise self._answers.too_large()
        # Where somebody in front of the blueprint has read it, Flask keeps it.
        return bytes(content) or request.get_data()

    def _until(self, story: Story) -> Iterator[bytes]:
        """Events until the task has ended, or it is time that the watcher comes again."""
        # Sent at once: proxies pass an answer on when its first bytes have come.
        yield f": task {story.id}\r\nretry: {RECONNECT_MS}\r\n\r\n".encode()
        ends_at = time.monotonic() + self._longest_stream
        while not story.is_over and time.monotonic() < ends_at:
            try:
                yield from self._following(story, ends_at)
            except EngineError as error:
                log.warning("the events of %s wait for the engine: %s", story.id, error)
                yield PING
                time.sleep(AGAIN)

    def _following(self, story: Story, ends_at: float) -> Iterator[bytes]:
        """What comes next, with a ping whenever there was silence for long; by that a watcher who left is noticed."""
        conversation = story.following()
        try:
            ask = next(conversation)
            while True:
                # The same wait for all, so that watchers of one task share their reads.
                patience = min(self._answers.settings.ping, self._longest_stream)
                asked = msgspec.structs.replace(ask, wait=patience) if isinstance(ask, Follow) else ask
                came = self._answers.outlet.line.ask(asked).result()
                if came == NOTHING_YET:
                    if time.monotonic() >= ends_at:
                        return
                    yield PING
                ask = conversation.send(came)
        except StopIteration as end:
            yield from map(_written, end.value)


def _allowing(origins: Collection[str]) -> Callable[[Response], Response]:
    """Lets pages of these sites call (the Fetch standard, §3.2)."""

    def allow(answer: Response) -> Response:
        answer.vary.add("Origin")
        origin = request.headers.get("origin")
        if origin is None or not ("*" in origins or origin in origins):
            return answer
        answer.headers["access-control-allow-origin"] = origin
        if request.method == "OPTIONS":
            answer.headers["access-control-allow-methods"] = METHODS
            answer.headers["access-control-allow-headers"] = SENT_HEADERS
            answer.headers["access-control-max-age"] = PREFLIGHT_S
        else:
            answer.headers["access-control-expose-headers"] = SHOWN_HEADERS
        return answer

    return allow


def _written(told: Told) -> bytes:
    id = "" if told.id is None else f"id: {told.id}\r\n"
    return f"{id}event: {told.event}\r\ndata: {told.data}\r\n\r\n".encode()


def _response(reply: Reply) -> Response:
    # Of the connection only a server may speak (PEP 3333).
    headers = {name: value for name, value in reply.headers.items() if name != "connection"}
    answer = Response(reply.content, reply.status, headers, content_type=reply.media_type)
    if reply.media_type is None:
        del answer.headers["content-type"]
    return answer


def _call(address: str) -> Call:
    path = request.root_path + request.path
    return Call(
        method=request.method,
        path=path,
        root=root_above(path, address),
        address=request.remote_addr or "",
        header=request.headers.get,
        query=request.args.get,
    )
