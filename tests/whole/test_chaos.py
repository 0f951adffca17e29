"""The chaos runs in short: everything that `python -m bench chaos` does for ten minutes, for a quarter of one."""

import os
import shutil

import pytest

from bench.chaos.command import chaos
from bench.chaos.field import Plan
from bench.chaos.report import violations
from tests.engines import postgres, redis

SHORT = Plan(tasks=400, seconds=15.0, every=0.8, lease=2.0, seed=20)
SERVERS = {"redis": redis.VARIABLE, "postgres": postgres.VARIABLE}
"""Variables that name a server to use instead of one that can be stopped."""


@pytest.mark.timeout(420)  # generous: it waits for conditions, and a loaded machine takes its time
@pytest.mark.parametrize("engine", ["sqlite", "redis", "postgres", "rabbitmq"])
def test_everything_accepted_ends_once_whatever_is_killed_stopped_or_cut(engine: str) -> None:
    outcome = chaos(os.environ.get(SERVERS.get(engine, ""), engine), SHORT)
    assert outcome.verdict.violations == [], violations(outcome)
    assert outcome.verdict.sent == outcome.verdict.ended == SHORT.tasks
    assert outcome.verdict.reruns > outcome.verdict.asked, "nothing was cut: the test proves nothing"
    assert outcome.verdict.poison > 0
    shutil.rmtree(outcome.history)
