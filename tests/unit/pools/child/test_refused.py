"""A provider's refusal is told by its shape, whichever client raised it, with how long it is to last."""

import email.utils
import time
from typing import Any

import httpx
import pytest

from polypool import RateLimited
from polypool.core.ledger import Adapt, Pause, Rate, Slot
from polypool.core.message import Message
from polypool.core.outcome import Limited
from polypool.pools.child.refused import refused

REQUESTS = Rate("requests", 500.0, 60.0)
TOKENS = Rate("tokens", 500_000.0, 60.0, cost=300.0, burst=1_000.0, is_estimate=True)


def message(*charges: Any) -> Message:
    return Message("a", "t", b"", charges=charges)


def answered(status: int = 429, **headers: str) -> httpx.HTTPStatusError:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = httpx.Request("POST", "http://provider")
    return httpx.HTTPStatusError("no", request=request, response=httpx.Response(status, headers=named, request=request))


class ClientsError(Exception):
    """As openai's and anthropic's have it."""

    def __init__(self, status_code: int, code: str | None = None) -> None:
        super().__init__("no")
        self.status_code = status_code
        self.code = code


def waits(error: BaseException, *charges: Any) -> float:
    limited = refused(message(*(charges or (REQUESTS,))), error, None)
    assert isinstance(limited, Limited)
    return limited.retry_after


def test_a_429_pauses_every_rate_of_the_task_and_no_slot() -> None:
    limited = refused(message(REQUESTS, Slot("tenant", 3), TOKENS), answered(retry_after="20"), None)
    assert limited == Limited(20.0, (Pause("requests", 20.0), Pause("tokens", 20.0)))


def test_how_long_is_read_in_seconds_milliseconds_or_as_a_date_and_is_a_second_where_nobody_says() -> None:
    assert waits(answered(retry_after="1.5")) == 1.5
    assert waits(answered(retry_after="9", retry_after_ms="250")) == 0.25
    assert 25 < waits(answered(retry_after=email.utils.formatdate(time.time() + 30, usegmt=True))) <= 30
    assert waits(answered(retry_after=email.utils.formatdate(time.time() - 30, usegmt=True))) == 0.0
    for nonsense in ("soon", "nan", "inf"):
        assert waits(answered(retry_after=nonsense)) == 1.0
    assert waits(answered()) == 1.0
    assert waits(ClientsError(429)) == 1.0
    assert waits(answered(retry_after="-5")) == 0.0


def test_what_is_no_refusal_is_an_error_as_any_other() -> None:
    for error in (answered(500), ValueError("429"), ClientsError(400), ClientsError(429, "insufficient_quota")):
        assert refused(message(REQUESTS), error, None) is None


def test_a_task_without_a_rate_limit_fails_by_a_429_as_by_any_error() -> None:
    assert refused(message(), answered(), None) is None
    assert refused(message(Slot("tenant", 3)), answered(), None) is None


def test_a_lower_limit_of_the_provider_counts_for_a_while_and_a_higher_one_does_not() -> None:
    said = answered(x_ratelimit_limit_requests="250", x_ratelimit_limit_tokens="900000")
    limited = refused(message(REQUESTS, TOKENS), said, None)
    assert limited is not None and limited.adapts == (Adapt("requests", 250.0, 60.0, 600.0),)
    limited = refused(message(REQUESTS, TOKENS), answered(x_ratelimit_limit_tokens="30000"), None)
    assert limited is not None and limited.adapts == (Adapt("tokens", 30_000.0, 60.0, 600.0),)
    for nonsense in ("0", "-1", "many"):
        limited = refused(message(REQUESTS), answered(x_ratelimit_limit_requests=nonsense), None)
        assert limited is not None and limited.adapts == ()


def test_a_task_may_say_so_itself_of_one_key_or_of_all_or_without_any() -> None:
    both = message(REQUESTS, TOKENS)
    assert refused(both, RateLimited(7.0), None) == Limited(7.0, (Pause("requests", 7.0), Pause("tokens", 7.0)))
    assert refused(both, RateLimited(7.0, key="tokens", limit=100.0), None) == Limited(
        7.0, (Pause("tokens", 7.0),), (Adapt("tokens", 100.0, 60.0, 600.0),)
    )
    assert refused(message(), RateLimited(7.0), None) == Limited(7.0)


@pytest.mark.parametrize(("said", "meant"), [(-1.0, 0.0), (float("nan"), 1.0), (1e12, 86_400.0)])
def test_a_wait_that_cannot_be_meant_is_bounded(said: float, meant: float) -> None:
    assert waits(RateLimited(said)) == meant
