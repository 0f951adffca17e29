"""Limits in a test of a user's: nothing waits, what is spent is checked, a refusal is seen."""

import pytest

from polypool import Concurrency, Polypool, Rate, RateLimited, chain, current
from polypool.testing import run_in_place


def test_tasks_with_limits_run_at_once_steps_and_chunks_too() -> None:
    app = Polypool("in place", "memory://")

    @app.task(limits=[Concurrency("tenant:{tenant}", 1), Rate("api", "1/d", cost=lambda tenant: 1)])
    def work(tenant: str) -> str:
        current.spend("api", 3)
        return tenant

    @app.task
    def named() -> str:
        return "acme"

    with run_in_place(app):
        assert [work.delay("acme").get() for _ in range(5)] == ["acme"] * 5
        assert chain(named.s(), work.s()).delay().get() == "acme"
        assert list(work.chunks(["a", "b", "c"], 2).get()) == [["a", "b"], ["c"]]


def test_spending_of_a_limit_that_the_task_does_not_have_says_which_it_has() -> None:
    app = Polypool("in place", "memory://")

    @app.task(limits=[Rate("tokens", "5/s")])
    def work(key: str, used: float) -> None:
        current.spend(key, used)

    with run_in_place(app):
        work.delay("tokens", 1.5).get()
        with pytest.raises(Exception, match="no rate limit called 'token', it has tokens"):
            work.delay("token", 1).get()
        with pytest.raises(Exception, match="0 or more"):
            work.delay("tokens", -1).get()


def test_a_task_that_a_provider_refuses_runs_again_once_the_clock_was_moved() -> None:
    app = Polypool("in place", "memory://")
    runs: list[int] = []

    @app.task(rate_limit="5/s", max_retries=0)
    def work() -> int:
        runs.append(current.attempt)
        if len(runs) < 3:
            raise RateLimited(30)
        return len(runs)

    with run_in_place(app) as place:
        result = work.delay()
        assert runs == [1]
        place.advance(30)
        place.advance(30)
        assert result.get() == 3
    assert runs == [1, 1, 1], "no retry, and no lost run"
