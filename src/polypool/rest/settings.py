"""What can be set of a gateway, each with its bounds."""

import math
import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, TypedDict

import msgspec

from polypool.core.error import ConfigurationError, UnknownOption
from polypool.core.message import LARGEST_BYTES

PERIODS = {"s": 1.0, "m": 60.0, "h": 3600.0}
SHORTEST_TOKEN = 16
NEVER_ZERO = ("ping", "longest_stream")


class Rate(msgspec.Struct, frozen=True):
    """So many requests in so many seconds."""

    count: int
    period: float

    @classmethod
    def parse(cls, written: str) -> "Rate":
        """As in 600/m: a number, and s, m or h."""
        found = re.fullmatch(r"(\d{1,9})/([smh])", str(written))
        if found is None or not int(found[1]):
            raise ConfigurationError(f"rate={written!r} is no rate; write 10/s, 600/m or 5000/h")
        return cls(int(found[1]), PERIODS[found[2]])


class WebOptions(TypedDict, total=False):
    """Options of `polypool.web` and of the doors."""

    tokens: Iterable[str]
    rate: str | None
    body_bytes: int
    longest_wait: float
    ping: float
    grace: float


class WebSettings(msgspec.Struct, frozen=True):
    """What they came to. Times are seconds."""

    tokens: tuple[str, ...] = ()
    """Whoever shows one of them is let in; without any everybody is."""
    rate: Rate | None = None
    """Requests of each token, or without one of each address, in this process."""
    body_bytes: int = 1_000_000
    longest_wait: float = 30.0
    """The most that `?wait=` may be."""
    ping: float = 15.0
    """After so long without an event a comment goes out, so that nobody on the way hangs up."""
    grace: float = 5.0
    """At a stop, streams have so long to end by themselves."""


def settings_of(given: Mapping[str, Any]) -> WebSettings:
    """Checked. ConfigurationError, UnknownOption."""
    chosen: dict[str, Any] = dict(given)
    for name in chosen:
        if name not in WebSettings.__struct_fields__:
            near = get_close_matches(name, WebSettings.__struct_fields__, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(WebSettings.__struct_fields__)}"
            raise UnknownOption(f"there is no option {name!r}; {hint}")
    if "tokens" in chosen:
        chosen["tokens"] = _tokens(chosen["tokens"])
    if chosen.get("rate") is not None:
        chosen["rate"] = Rate.parse(chosen["rate"])
    if "body_bytes" in chosen:
        _check_bytes(chosen["body_bytes"])
    for name in ("longest_wait", "ping", "grace"):
        if name in chosen:
            chosen[name] = seconds_of(name, chosen[name])
    return WebSettings(**chosen)


def _tokens(given: Any) -> tuple[str, ...]:
    if isinstance(given, str):
        raise ConfigurationError('tokens is a list, as in tokens=["…"]')
    tokens = tuple(given)
    for token in tokens:
        if not isinstance(token, str) or len(token) < SHORTEST_TOKEN or not re.fullmatch(r"[!-~]+", token):
            raise ConfigurationError(
                f"a token must have at least {SHORTEST_TOKEN} visible ASCII characters and no spaces; one is: "
                'python -c "import secrets; print(secrets.token_urlsafe(32))"'
            )
    return tokens


def _check_bytes(value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= LARGEST_BYTES:
        raise ConfigurationError(f"body_bytes={value!r} must be a whole number from 1 to {LARGEST_BYTES:,}")


def seconds_of(name: str, value: Any) -> float:
    """Checked. ConfigurationError."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or value < 0 or (name in NEVER_ZERO and value == 0):
        raise ConfigurationError(f"{name}={value!r} must be a number of seconds")
    return float(value)
