"""Waiting before a retry."""

from hypothesis import given
from hypothesis import strategies as st

from polypool.core.message import Policy
from polypool.core.retry import backoff
from tests.unit.core.words import chances, policies


@given(policies, st.integers(0, 2000), chances)
def test_the_wait_is_never_above_its_maximum_nor_below_zero(policy: Policy, retries: int, chance: float) -> None:
    assert 0 <= backoff(policy, retries, lambda: chance) <= policy.retry_backoff_max


@given(policies, st.integers(0, 200), chances)
def test_jitter_takes_at_most_half_of_the_wait(policy: Policy, retries: int, chance: float) -> None:
    whole = min(policy.retry_backoff * 2.0 ** min(retries, 60), policy.retry_backoff_max)
    wait = backoff(policy, retries, lambda: chance)
    assert whole / 2 <= wait <= whole if policy.retry_jitter else wait == whole


@given(policies, st.integers(0, 200), chances)
def test_a_later_retry_never_waits_less(policy: Policy, retries: int, chance: float) -> None:
    assert backoff(policy, retries, lambda: chance) <= backoff(policy, retries + 1, lambda: chance)


def test_the_wait_doubles_from_its_first_value_up_to_the_maximum() -> None:
    policy = Policy(retry_backoff=2.0, retry_backoff_max=20.0, retry_jitter=False)
    assert [backoff(policy, retries, lambda: 0.9) for retries in range(6)] == [2, 4, 8, 16, 20, 20]
