"""Answers: what each request asks of the engine, and what it is answered. Written once, as conversations; each face
carries them through in the way of its framework."""

import logging
import os
import time
from hashlib import sha256

import msgspec

from polypool.app import Polypool
from polypool.conversation import Conversation
from polypool.core.ask import Await, Put, Read
from polypool.core.error import EngineError, MessageTooLarge, PolypoolError, SendError
from polypool.core.event import Record, cursor
from polypool.rest.document import document_of, encoded
from polypool.rest.exchange import Call, Reply
from polypool.rest.guard import Guard
from polypool.rest.offer import offer_of
from polypool.rest.openapi import openapi
from polypool.rest.problem import Problem
from polypool.rest.settings import WebSettings
from polypool.rest.story import OVER, Story
from polypool.results.cancelling import cancel

RETRY_AFTER_S = 2
LONGEST_KEY = 200

log = logging.getLogger("polypool.web")


class Answers:
    """Sends the app's public tasks, and tells what became of them; of others it knows nothing. A request is let in by
    `admit` first."""

    def __init__(self, app: Polypool, settings: WebSettings) -> None:
        self.settings = settings
        self.offer = offer_of(app, settings)
        self.outlet = app.outlet
        self._guard = Guard(settings)

    def admit(self, call: Call) -> str:
        """Who it is. Problem 401, 429."""
        return self._guard.admit(call)

    def expect(self, call: Call, task: str) -> None:
        """All that can be said about a POST before its body is read. Problem."""
        if task not in self.offer.tasks:
            raise Problem(404, f"There is no task {task!r} here.")
        self._wait(call)
        if (call.header("content-type") or "").partition(";")[0].strip().lower() != "application/json":
            # Also what keeps other sites' pages out: a browser asks first before it sends this type.
            raise Problem(415, "Send the parameters as JSON, with the header: Content-Type: application/json")
        declared = call.header("content-length") or ""
        if declared.isdecimal() and int(declared[:20]) > self.settings.body_bytes:
            raise self.too_large()

    def too_large(self) -> Problem:
        """For a body beyond `body_bytes`, whatever it declared."""
        detail = f"A body may have {self.settings.body_bytes:,} bytes here."
        return Problem(413, detail, headers={"connection": "close"})

    def send(self, call: Call, client: str, task: str, content: bytes) -> Conversation[Reply]:
        """POST /tasks/{task}. SendError where the task refuses it."""
        wait = self._wait(call)
        args, kwargs = self.offer.bodies[task].read(content)
        id = _id_for(call, client, task)
        message = self.offer.tasks[task].drafts.message_with(args, kwargs, {"task_id": id})
        yield Put([message])  # one that is there already is the same request again: it is told the same
        record: Record | None = None
        if wait:
            record = (yield from _ended(id, wait)) or (yield Read([id]))[0]
        location = f"{call.root}/results/{id}"
        if record is None or not record.state.is_final:
            links = {"id": id, "result": location, "events": f"{location}/events"}
            headers = {"location": location, "cache-control": "no-store"}
            return Reply(202, encoded(links), headers, "application/json")
        return (yield from self._told(record, 200, location))

    def tell(self, call: Call, id: str) -> Conversation[Reply]:
        """GET /results/{id}."""
        wait = self._wait(call)
        record = yield from self._known(id)
        if wait and not record.state.is_final:
            record = (yield from _ended(id, wait)) or (yield from self._known(id))
        return (yield from self._told(record, 200))

    def cancel(self, id: str) -> Conversation[Reply]:
        """DELETE /results/{id}."""
        yield from self._known(id)
        was_ended = yield from cancel(id)
        record = yield from self._known(id)
        return (yield from self._told(record, 202 if was_ended else 200))

    def watch(self, call: Call, id: str) -> Conversation[Story | Reply]:
        """GET /results/{id}/events: the story, or why there is none to be told."""
        after = call.header("last-event-id") or call.query("after") or None
        if after == OVER:
            return Reply(204)  # to a browser: do not come again
        if after is not None:
            try:
                cursor(after)
            except ValueError as error:
                raise Problem(400, f"Last-Event-ID: {error}, and an empty one begins at the beginning.") from None
        record = yield from self._record(id)
        if record is None and after is not None:
            raise Problem(410, f"Task {id} is no longer known here: its time to live is over, or it was purged.")
        if record is None:
            raise _unknown(id)
        return Story(id, after, self.outlet)

    def describe(self, call: Call) -> Reply:
        """GET /openapi.json."""
        return Reply(200, msgspec.json.encode(openapi(self.offer, call.root)), {}, "application/json")

    def refusal(self, error: Problem | EngineError | SendError, call: Call) -> Reply:
        """What is answered where one of these came up instead of an answer."""
        match error:
            case Problem():
                return error.reply
            case MessageTooLarge():
                return Problem(413, str(error)).reply
            case SendError():
                return Problem(422, str(error)).reply
        log.warning("%s %s: %s", call.method, call.path, error)
        return _away(call.method).reply

    def _wait(self, call: Call) -> float:
        given = call.query("wait")
        if given is None:
            return 0.0
        try:
            wait = float(given)
        except ValueError:
            wait = -1.0
        if not wait >= 0:
            raise Problem(422, f"wait={given}: it is a number of seconds, at most {self.settings.longest_wait:g}")
        return min(wait, self.settings.longest_wait)

    def _known(self, id: str) -> Conversation[Record]:
        record = yield from self._record(id)
        if record is None:
            raise _unknown(id)
        return record

    def _record(self, id: str) -> Conversation[Record | None]:
        """None as well for a task that is not public: who asks is not told that there is one."""
        (record,) = yield Read([id])
        return record if record is not None and record.task in self.offer.tasks else None

    def _told(self, record: Record, status: int, location: str | None = None) -> Conversation[Reply]:
        try:
            document = yield from document_of(record, self.outlet)
        except EngineError:
            raise
        except PolypoolError as error:
            raise Problem(410, str(error)) from None
        return document.reply(status, location)


def _ended(id: str, wait: float) -> Conversation[Record | None]:
    """None where it did not end in time, or the server is about to stop."""
    ended: list[Record] = yield Await([id], wait)
    return next(iter(ended), None)


def _id_for(call: Call, client: str, task: str) -> str:
    """Ids are what protects a result: not to be guessed, unlike those that one process counts up. With a key of the
    client's own it is the same each time, so that a request can be repeated."""
    key = call.header("idempotency-key")
    if key is None:
        # As the app's own, in order of time, with 74 bits drawn at random.
        number = time.time_ns() // 1_000_000 << 80 | int.from_bytes(os.urandom(10), "big")
        return f"{number & ~(0xF << 76) & ~(0x3 << 62) | 0x7 << 76 | 0x2 << 62:032x}"
    if not 16 <= len(key) <= LONGEST_KEY:
        raise Problem(422, f"Idempotency-Key: it has 16 to {LONGEST_KEY} characters, such as a UUID")
    return sha256("\n".join((client, task, key)).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _unknown(id: str) -> Problem:
    return Problem(404, f"No task {id} is known here: it was never sent, was purged, or its time to live is over.")


def _away(method: str) -> Problem:
    detail = "The engine that keeps the tasks cannot be used at the moment."
    if method == "POST":
        detail += " Whether the task was accepted is not known; with an Idempotency-Key it is safe to send it again."
    return Problem(503, detail, headers={"retry-after": str(RETRY_AFTER_S)})
