"""Problem: what is answered instead of what was asked for, as RFC 9457 has it (application/problem+json)."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from polypool.rest.exchange import Reply


class Wrong(msgspec.Struct, frozen=True):
    """What is wrong with one parameter. `at` leads to the place within it, as in `order.items[3]`."""

    parameter: str
    message: str
    at: str


class Problem(Exception):
    """A request that is refused; the text says what to do about it."""

    def __init__(
        self, status: int, detail: str, errors: Sequence[Wrong] = (), headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors
        self.headers = headers or {}

    @property
    def reply(self) -> Reply:
        told: dict[str, Any] = {"title": HTTPStatus(self.status).phrase, "status": self.status, "detail": self.detail}
        if self.errors:
            told["errors"] = self.errors
        headers = {"cache-control": "no-store", **self.headers}
        return Reply(self.status, msgspec.json.encode(told), headers, "application/problem+json")
