"""decide: what becomes of a delivery, for every outcome there is."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polypool.core.codec import decode
from polypool.core.decide import decide, refuse, signals
from polypool.core.join import Flow, Next
from polypool.core.ledger import Slot
from polypool.core.lifecycle import MOVES, State
from polypool.core.message import Delivery, Message, Policy
from polypool.core.outcome import (
    Again,
    Cancelled,
    Cause,
    Dead,
    Deferred,
    Done,
    Ended,
    Failed,
    Failure,
    Limited,
    Lost,
    Origin,
    Outcome,
    Priced,
    Retry,
    TimedOut,
    Usage,
)
from tests.unit.core.words import chances, deliveries, failures, outcomes, spans, times, usages

NOW = 1000.0


def delivery(deliveries: int = 1, **fields: object) -> Delivery:
    message = Message(**{"id": "a", "task": "t", "args": b"", **fields})  # type: ignore[arg-type]
    return Delivery(message, b"", token=1, deliveries=deliveries, taken_at=NOW)


def settled(given: Delivery, outcome: Outcome) -> Ended | Again:
    return decide(given, outcome, NOW, lambda: 0.5).next


@given(deliveries, outcomes, times, chances)
def test_every_outcome_leads_where_a_running_message_may_go(
    held: Delivery, outcome: Outcome, now: float, chance: float
) -> None:
    settlement = decide(held, outcome, now, lambda: chance)
    assert (settlement.delivery, settlement.at) == (held, now)
    if isinstance(settlement.next, Ended):
        assert settlement.next.state in MOVES[State.RUNNING]
        assert (settlement.next.failure is None) == (settlement.next.state is State.SUCCEEDED)
    else:
        assert 0 <= settlement.next.deliveries <= held.deliveries


@given(deliveries, outcomes, times, chances)
def test_no_message_is_run_for_ever(held: Delivery, outcome: Outcome, now: float, chance: float) -> None:
    """Each way back into the line uses up a retry or a lost run, or is nobody's fault."""
    policy, next = held.message.policy, decide(held, outcome, now, lambda: chance).next
    if isinstance(next, Again) and not isinstance(outcome, Deferred):
        if next.message is not None:
            assert next.message.retries == held.message.retries + 1 <= policy.max_retries
        else:
            assert next.deliveries == held.deliveries < policy.max_lost


@given(deliveries, st.none() | st.floats(-5, 1e6), times, chances)
def test_a_retry_is_the_same_message_numbered_on(
    held: Delivery, countdown: float | None, now: float, chance: float
) -> None:
    next = decide(held, Retry(None, countdown), now, lambda: chance).next
    if isinstance(next, Again):
        assert next.message is not None and next.due == next.message.due
        assert next.message.attempt == held.attempt + 1
        unchanged = {"attempt": 1, "retries": 0, "due": None}
        assert msgspec.structs.replace(next.message, **unchanged) == msgspec.structs.replace(held.message, **unchanged)
        assert next.due is not None and next.due >= now
        if countdown is not None:
            assert next.due == now + max(countdown, 0.0)


@given(deliveries, st.binary(), usages, times)
def test_a_value_is_kept_as_long_as_the_policy_says(
    held: Delivery, value: bytes, usage: Usage | None, now: float
) -> None:
    expected = Ended(State.SUCCEEDED, value=value, ttl=held.message.policy.result_ttl, usage=usage)
    assert decide(held, Done(value, usage), now, lambda: 0.0).next == expected


@given(deliveries, st.none() | times)
def test_what_was_not_run_does_not_count(held: Delivery, until: float | None) -> None:
    assert settled(held, Deferred(until)) == Again(held.deliveries - 1, due=until)


@given(deliveries, failures)
def test_a_failure_ends_the_task_with_what_it_raised(held: Delivery, failure: Failure) -> None:
    assert settled(held, Failed(failure)) == Ended(State.FAILED, failure=failure, ttl=held.message.policy.result_ttl)


def test_the_last_retry_gives_up_with_the_error_that_asked_for_it() -> None:
    error = Failure("OSError", "no route")
    policy = Policy(max_retries=2, retry_backoff=3.0, retry_jitter=False)
    second = settled(delivery(retries=1, policy=policy), Retry(error))
    assert isinstance(second, Again) and second.due == NOW + 6.0
    last = settled(delivery(retries=2, policy=policy), Retry(error))
    assert isinstance(last, Ended) and last.failure == error and not last.dead
    unexplained = settled(delivery(retries=2, policy=policy), Retry())
    assert isinstance(unexplained, Ended) and unexplained.failure is not None
    assert unexplained.failure.message == "gave up after 2 retries"


def test_a_lost_run_is_repeated_until_the_policy_says_enough() -> None:
    assert settled(delivery(1), Lost("signal 9")) == Again(1)
    assert settled(delivery(2), Lost("signal 9")) == Again(2)
    last = settled(delivery(3), Lost("signal 11"))
    assert isinstance(last, Ended) and last.dead and last.failure is not None
    assert last.failure.type.endswith("TaskLost")
    assert "each of 3 runs" in last.failure.message and "signal 11" in last.failure.message


@given(spans)
def test_a_hard_timeout_fails_or_retries_as_the_policy_says(timeout: float) -> None:
    failed = settled(delivery(), TimedOut(timeout))
    assert isinstance(failed, Ended) and failed.failure is not None
    assert failed.failure.type.endswith("TimeLimitExceeded")
    assert isinstance(settled(delivery(policy=Policy(retries_timeout=True)), TimedOut(timeout)), Again)


def test_what_can_never_run_is_a_dead_letter_with_its_reason() -> None:
    dead = settled(delivery(), Dead("unknown task"))
    assert isinstance(dead, Ended) and dead.dead and dead.failure is not None
    assert dead.failure.message == "unknown task"


def test_a_delivery_is_refused_for_the_first_reason_that_holds() -> None:
    assert refuse(delivery(), {"t"}, NOW) is None
    assert refuse(delivery(expires=NOW + 1), {"t"}, NOW) is None
    unknown = refuse(delivery(), {"other"}, NOW)
    assert isinstance(unknown, Dead) and "polypool dead requeue" in unknown.reason
    expired = refuse(delivery(expires=NOW), {"t"}, NOW)
    assert isinstance(expired, Failed) and expired.failure.type.endswith("TaskExpired")
    assert isinstance(refuse(delivery(3), {"t"}, NOW), type(None))
    worn = refuse(delivery(4), {"t"}, NOW)
    assert isinstance(worn, Dead) and "each of 3 runs" in worn.reason
    cancelled = msgspec.structs.replace(delivery(9, expires=NOW), is_cancelled=True)
    assert isinstance(refuse(cancelled, {"t"}, NOW), Cancelled)
    spoilt = msgspec.structs.replace(cancelled, defect="truncated")
    dead = refuse(spoilt, {"t"}, NOW)
    assert isinstance(dead, Dead) and dead.reason.startswith("undecodable message: truncated. Steps of a workflow")


@pytest.mark.parametrize(("behind", "is_told"), [(100, True), (101, False)])
def test_the_traceback_of_a_failure_is_told_to_few_steps_and_where_it_was_to_all(behind: int, is_told: bool) -> None:
    failed = Message("a", "app.work", b"", flow=Flow(then=(Next("b", count=behind),)))
    told = signals(failed, State.FAILED, Failure("builtins.ValueError", "boom", "Traceback …"))
    assert len(told) == behind
    cause = decode(told[0].cause, Cause).failure
    assert (cause.message, cause.traceback) == ("boom", "Traceback …" if is_told else "")
    assert cause.origin == Origin("a", "app.work")


def test_what_a_provider_refused_goes_back_uncounted_until_it_may_be_tried_again() -> None:
    assert settled(delivery(deliveries=2), Limited(20.0)) == Again(1, due=NOW + 20.0)


def test_what_was_not_known_to_be_charged_goes_back_with_it_and_waits_for_nobody_again() -> None:
    flow = Flow(waits=1, then=(Next("b", 0),))
    held = delivery(deliveries=2, due=900.0, flow=flow, charges=None)
    priced = settled(held, Priced((Slot("tenant:acme", 3),)))
    assert isinstance(priced, Again) and (priced.deliveries, priced.due) == (1, None)
    message = priced.message
    assert message is not None and message.charges == (Slot("tenant:acme", 3),)
    assert not message.is_waiting and message.flow is not None and message.flow.then == flow.then
    assert (message.attempt, message.retries) == (1, 0)
