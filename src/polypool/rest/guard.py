"""Guard: who is let in, and how often."""

import math
import time
from collections.abc import Callable
from hashlib import sha256
from hmac import compare_digest

from polypool import native
from polypool.rest.exchange import Call
from polypool.rest.pace import Pace
from polypool.rest.problem import Problem
from polypool.rest.settings import WebSettings


class Guard:
    """Lets in whoever shows a token, where there are tokens, and nobody more often than the rate has it.

    Tokens are compared as digests in constant time, each with all, so that no answer tells by its time how near a
    guess was. Guesses are counted to the address that they come from.
    """

    def __init__(self, settings: WebSettings, now: Callable[[], float] = time.monotonic) -> None:
        self._digests = [_digest(token) for token in settings.tokens]
        self._pace = None if settings.rate is None else Pace(settings.rate)
        self._now = now
        self._lock = native.lock()

    def admit(self, call: Call) -> str:
        """Who it is: a name for the token, or the address. Problem 401, 429."""
        token = self._token(call)
        client = f"address {call.address}" if token is None else token
        if wait := self._wait_of(client):
            seconds = math.ceil(wait)
            detail = f"That is more requests than one client may make here. Come again in {seconds} s."
            raise Problem(429, detail, headers={"retry-after": str(seconds)})
        if self._digests and token is None:
            detail = "Show a token that is valid here, in the header: Authorization: Bearer TOKEN"
            raise Problem(401, detail, headers={"www-authenticate": "Bearer"})
        return client

    def _wait_of(self, client: str) -> float:
        if self._pace is None:
            return 0.0
        with self._lock:  # some servers answer in threads
            return self._pace.wait_of(client, self._now())

    def _token(self, call: Call) -> str | None:
        scheme, _, given = (call.header("authorization") or "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        shown = _digest(given.strip())
        matches = [compare_digest(shown, known) for known in self._digests]
        return f"token {shown.hex()}" if any(matches) else None


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogateescape")).digest()
