"""Refused: what a provider's "not now" says, whichever client raised it. Told by its shape, no client is imported."""

import email.utils
import math
import time
from collections.abc import Mapping
from typing import Any

from polypool.core.error import RateLimited
from polypool.core.ledger import Adapt, Pause, Rate
from polypool.core.message import Message
from polypool.core.outcome import Limited, Usage

TOO_MANY = 429
USUAL_WAIT = 1.0
"""Seconds, where a provider does not say for how long."""
LONGEST_WAIT = 86_400.0
ADAPTED_FOR = 600.0
"""Seconds for which a provider's own limit counts: then the declared one is tried again."""
FOR_GOOD = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
"""Codes of 429s that no waiting mends."""


def refused(message: Message, error: BaseException, usage: Usage | None) -> Limited | None:
    """What an error means that says a provider's limit is reached; None for any other.

    Errors of clients count where the task declares a rate limit: openai's, anthropic's, httpx's, or of any other that
    has a `status_code` of 429 or a `response` that has.
    """
    rates = [charge for charge in message.charges or () if isinstance(charge, Rate)]
    if isinstance(error, RateLimited):
        named = [rate for rate in rates if error.key in (None, rate.key)]
        known = {} if error.limit is None else {rate.key: error.limit for rate in named}
        return _limited(_bounded(error.retry_after), named, known, usage)
    if not rates or not _is_too_many(error) or getattr(error, "code", None) in FOR_GOOD:
        return None
    headers = _headers(error)
    return _limited(_wait(headers), rates, _told(headers, rates), usage)


def _limited(wait: float, rates: list[Rate], told: Mapping[str, float], usage: Usage | None) -> Limited:
    pauses = tuple(Pause(rate.key, wait) for rate in rates)
    adapts = tuple(
        Adapt(rate.key, told[rate.key], rate.per, ADAPTED_FOR)
        for rate in rates
        if rate.key in told and 0 < told[rate.key] < rate.amount
    )
    return Limited(wait, pauses, adapts, usage)


def _is_too_many(error: BaseException) -> bool:
    return TOO_MANY in (
        getattr(error, "status_code", None),
        getattr(getattr(error, "response", None), "status_code", None),
    )


def _headers(error: BaseException) -> Mapping[str, str]:
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    try:
        return {str(name).lower(): str(value) for name, value in headers.items()}
    except (AttributeError, TypeError):
        return {}


def _wait(headers: Mapping[str, str]) -> float:
    """`retry-after-ms`, else `Retry-After` in seconds or as a date (RFC 9110, 10.2.3)."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return _bounded(milliseconds / 1000.0)
    said = headers.get("retry-after")
    seconds = _number(said)
    if seconds is None and said:
        try:
            seconds = email.utils.parsedate_to_datetime(said).timestamp() - time.time()
        except ValueError:
            seconds = None
    return USUAL_WAIT if seconds is None else _bounded(seconds)


def _told(headers: Mapping[str, str], rates: list[Rate]) -> dict[str, float]:
    """The provider's own amounts: of requests for limits that count calls, of tokens for those that estimate costs."""
    requests = _number(headers.get("x-ratelimit-limit-requests"))
    tokens = _number(headers.get("x-ratelimit-limit-tokens"))
    amounts = {rate.key: tokens if rate.is_estimate else requests if rate.cost == 1.0 else None for rate in rates}
    return {key: amount for key, amount in amounts.items() if amount is not None}


def _number(text: Any) -> float | None:
    try:
        number = float(text)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), LONGEST_WAIT) if math.isfinite(seconds) else USUAL_WAIT
