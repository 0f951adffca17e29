"""The provider lets through what its limits allow, and says truly when to come back."""

import pytest

from examples.provider.limits import Limits
from examples.provider.wire import duration, limit_headers


def let_through(limits: Limits, tokens: int, now: float, tries: int) -> int:
    return sum(limits.admit(tokens, now).granted for _ in range(tries))


def test_a_minutes_worth_of_requests_passes_at_once_and_no_more() -> None:
    limits = Limits(requests_per_minute=500, tokens_per_minute=10**9, scale=1, now=0)
    assert let_through(limits, 1, now=0, tries=600) == 500


def test_requests_come_back_evenly_over_the_minute() -> None:
    limits = Limits(requests_per_minute=60, tokens_per_minute=10**9, scale=1, now=0)
    assert let_through(limits, 1, now=0, tries=100) == 60
    assert [let_through(limits, 1, now=second, tries=5) for second in (1, 2, 3.5)] == [1, 1, 1]
    assert let_through(limits, 1, now=300, tries=100) == 60


def test_with_time_forty_times_as_fast_a_minute_lasts_one_and_a_half_seconds() -> None:
    limits = Limits(requests_per_minute=500, tokens_per_minute=10**9, scale=40, now=0)
    assert let_through(limits, 1, now=0, tries=600) == 500
    assert let_through(limits, 1, now=1.5, tries=600) == 500


def test_tokens_are_a_limit_of_their_own() -> None:
    limits = Limits(requests_per_minute=500, tokens_per_minute=1000, scale=1, now=0)
    assert let_through(limits, 400, now=0, tries=5) == 2
    assert limits.admit(400, now=0).stopped_by == "tokens"


def test_a_refused_request_counts_against_neither_limit() -> None:
    limits = Limits(requests_per_minute=10, tokens_per_minute=1000, scale=1, now=0)
    assert not limits.admit(1000, now=0).stopped_by
    refused = limits.admit(500, now=0)
    assert (refused.requests.remaining, refused.tokens.remaining) == (9, 0)


def test_what_an_answer_did_not_use_comes_back_and_never_more_than_the_limit() -> None:
    limits = Limits(requests_per_minute=500, tokens_per_minute=1000, scale=1, now=0)
    assert let_through(limits, 400, now=0, tries=5) == 2
    limits.settle(set_aside=400, used=100, now=0)
    assert limits.admit(500, now=0).granted
    limits.settle(set_aside=500, used=0, now=60)
    assert let_through(limits, 100, now=60, tries=20) == 10


@pytest.mark.parametrize("scale", [1, 7, 40])
def test_whoever_waits_as_long_as_told_is_let_in(scale: float) -> None:
    limits = Limits(requests_per_minute=7, tokens_per_minute=997, scale=scale, now=0)
    now = 0.0
    for _ in range(200):
        verdict = limits.admit(101, now)
        if not verdict.granted:
            now += verdict.retry_after_s
            assert limits.admit(101, now).granted


def test_a_request_larger_than_the_limit_passes_a_full_bucket_only() -> None:
    limits = Limits(requests_per_minute=10, tokens_per_minute=1000, scale=1, now=0)
    assert limits.admit(5000, now=0).granted
    assert not limits.admit(1, now=1).granted


def test_headers_tell_limit_remainder_reset_and_when_to_come_back() -> None:
    limits = Limits(requests_per_minute=2, tokens_per_minute=1000, scale=1, now=0)
    assert "retry-after" not in limit_headers(limits.admit(10, now=0))
    limits.admit(10, now=0)
    headers = limit_headers(limits.admit(10, now=0))
    assert headers["x-ratelimit-limit-requests"] == "2"
    assert headers["x-ratelimit-remaining-requests"] == "0"
    assert headers["x-ratelimit-reset-requests"] == "1m0s"
    assert headers["x-ratelimit-remaining-tokens"] == "980"
    assert headers["retry-after"] == "31"  # whole seconds, never too few
    assert headers["retry-after-ms"] == "30001"


@pytest.mark.parametrize(
    ("seconds", "written"), [(0, "0ms"), (0.12, "120ms"), (1, "1s"), (8.64, "8.64s"), (360, "6m0s")]
)
def test_durations_are_written_as_the_provider_writes_them(seconds: float, written: str) -> None:
    assert duration(seconds) == written
