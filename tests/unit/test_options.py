"""Options: what is refused, with which words, and what the rest comes to."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from polypool.core.error import ConfigurationError, TimeLimitExceeded, UnknownOption
from polypool.core.manifest import TaskSpec
from polypool.core.message import Policy
from polypool.options import check_task_options, defaults_of, spec_of, standing_terms, terms_of


def spec(**options: Any) -> TaskSpec:
    return spec_of("m.f", is_async=False, options=options)


def test_an_async_function_runs_in_asyncio_and_a_plain_one_in_threads_by_default() -> None:
    assert spec_of("m.f", True, {}).pool == "asyncio"
    assert spec_of("m.f", False, {}).pool == "threads"


def test_options_reach_the_spec_and_its_policy() -> None:
    made = spec(
        pool="prefork",
        queue="fast",
        priority=5,
        timeout=30,
        soft_timeout=timedelta(seconds=20),
        max_retries=7,
        retry_backoff=2,
        retry_backoff_max=60,
        retry_jitter=False,
        result_ttl=timedelta(hours=1),
        max_lost=1,
        expires=60,
    )
    assert made == TaskSpec(
        "m.f",
        "prefork",
        "fast",
        5,
        Policy(30.0, 20.0, 7, 2.0, 60.0, False, 3600.0, 1),
        is_async=False,
        expires=60.0,
    )


@pytest.mark.parametrize("errors", [(TimeoutError,), (OSError,), (Exception,), (TimeLimitExceeded,), TimeoutError])
def test_retrying_timeouts_covers_the_hard_one_too(errors: Any) -> None:
    assert spec(autoretry_for=errors).policy.retries_timeout


def test_other_retries_leave_the_hard_timeout_alone() -> None:
    assert not spec(autoretry_for=(ValueError, ConnectionError)).policy.retries_timeout
    assert not spec().policy.retries_timeout


def test_an_unknown_option_is_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(UnknownOption, match=r"no option 'max_retry' \(did you mean max_retries\?\); there are .*bind"):
        check_task_options("@app.task", {"max_retry": 3})
    with pytest.raises(UnknownOption, match=r"no option 'count_down' \(did you mean countdown\?\)"):
        terms_of(spec(), {"count_down": 3})
    with pytest.raises(UnknownOption, match=r"Polypool\('a'\): there is no option 'brocker'; there are "):
        defaults_of("Polypool('a')", {"brocker": "x"})


def test_a_task_option_is_no_send_option() -> None:
    with pytest.raises(UnknownOption, match="retry_jitter"):
        terms_of(spec(), {"retry_jitter": True})


@pytest.mark.parametrize(
    ("option", "value", "complaint"),
    [
        ("timeout", -1, "not negative"),
        ("timeout", 0, "leaves no time at all"),
        ("timeout", "60", "must be a number of seconds"),
        ("timeout", True, "must be a number of seconds"),
        ("timeout", float("nan"), "must be a number of seconds"),
        ("timeout", float("inf"), "must be a number of seconds"),
        ("soft_timeout", timedelta(seconds=-1), "not negative"),
        ("expires", 0, "leaves no time at all"),
        ("max_retries", -1, "a whole number of at least 0"),
        ("max_retries", None, "a whole number of at least 0"),
        ("max_retries", 1.5, "a whole number of at least 0"),
        ("max_lost", 0, "a whole number of at least 1"),
        ("priority", 101, "a whole number from -100 to 100"),
        ("priority", True, "a whole number from -100 to 100"),
        ("retry_backoff", -1, "not negative"),
        ("retry_jitter", 1, "must be True or False"),
        ("bind", "yes", "must be True or False"),
        ("queue", "", "must be a word"),
        ("queue", "a,b", "must be a word"),
        ("queue", 5, "must be a word"),
        ("name", "x" * 201, "must be a word"),
        ("autoretry_for", "OSError", "must be a tuple of exception classes"),
        ("autoretry_for", (OSError, 5), "must be a tuple of exception classes"),
        ("pool", "thread", r"no pool is called 'thread' \(did you mean threads\?\); there are asyncio, "),
        ("pool", None, "no pool is called None"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_at_the_decorator(option: str, value: Any, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^m.f: .*{complaint}"):
        spec(**{option: value})


@pytest.mark.parametrize("pool", ["threads", "gevent", "eventlet"])
def test_an_async_function_is_refused_in_a_pool_of_blocking_ones(pool: str) -> None:
    with pytest.raises(ConfigurationError, match=f"an async def task cannot run in the {pool} pool.*leave pool out"):
        spec_of("m.f", True, {"pool": pool})


def test_a_plain_function_is_refused_on_the_event_loop() -> None:
    with pytest.raises(ConfigurationError, match=r"would block the event loop.*make it async def"):
        spec_of("m.f", False, {"pool": "asyncio"})


@pytest.mark.parametrize("pool", ["asyncio", "solo", "prefork", "auto"])
def test_an_async_function_may_run_where_there_is_a_loop(pool: str) -> None:
    assert spec_of("m.f", True, {"pool": pool}).pool == pool


@pytest.mark.parametrize("pool", ["threads", "prefork", "solo", "gevent", "eventlet", "auto"])
def test_a_plain_function_may_run_anywhere_but_on_the_loop(pool: str) -> None:
    assert spec_of("m.f", False, {"pool": pool}).pool == pool


def test_a_soft_timeout_that_comes_too_late_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=re.escape("soft_timeout (30 s) must be shorter than timeout (30 s)")):
        spec(soft_timeout=30, timeout=30)
    with pytest.raises(ConfigurationError, match="shorter"):
        terms_of(spec(soft_timeout=30), {"timeout": 10})


def test_a_send_without_options_has_the_tasks_own_terms() -> None:
    declared = spec(queue="q", priority=3, expires=5)
    assert terms_of(declared, {}) == standing_terms(declared)


def test_send_options_go_over_those_of_the_task() -> None:
    declared = spec(queue="q", priority=3, expires=5, timeout=9, max_retries=1, retry_backoff=7)
    terms = terms_of(declared, {"queue": "p", "priority": -3, "timeout": None, "max_retries": 0, "expires": None})
    assert (terms.queue, terms.priority, terms.expires_in) == ("p", -3, None)
    assert (terms.policy.timeout, terms.policy.max_retries, terms.policy.retry_backoff) == (None, 0, 7)


def test_a_point_in_time_may_be_unix_seconds_or_a_datetime_with_or_without_a_zone() -> None:
    aware = datetime(2030, 1, 1, tzinfo=UTC)
    assert terms_of(spec(), {"eta": aware}).due == aware.timestamp()
    assert terms_of(spec(), {"eta": aware.timestamp()}).due == aware.timestamp()
    naive = datetime(2030, 1, 1)
    assert terms_of(spec(), {"eta": naive}).due == naive.astimezone().timestamp()
    assert terms_of(spec(), {"expires": aware}).expires == aware.timestamp()


def test_countdown_and_eta_together_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="both say when"):
        terms_of(spec(), {"countdown": 5, "eta": 1e10})


@pytest.mark.parametrize("options", [{"countdown": -1}, {"countdown": "5"}, {"eta": "tomorrow"}, {"expires": -1}])
def test_a_time_that_makes_no_sense_is_refused_when_sending(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"^sending m\.f: "):
        terms_of(spec(), options)


def test_no_countdown_means_at_once() -> None:
    assert terms_of(spec(), {"countdown": 0}).due_in is None
    assert terms_of(spec(), {"countdown": timedelta(minutes=1)}).due_in == 60
