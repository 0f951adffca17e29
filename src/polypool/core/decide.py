"""decide: the one way out. How a run ended, turned into what the broker must write. Pure."""

from collections.abc import Callable, Container, Sequence

import msgspec

from polypool.core.codec import decode, encode
from polypool.core.gather import by_reference
from polypool.core.join import NO_PLACE, Flow, Next, Signal
from polypool.core.ledger import Charge
from polypool.core.lifecycle import State
from polypool.core.message import Delivery, Message
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
    Replaced,
    Retry,
    Settlement,
    TimedOut,
    Usage,
)
from polypool.core.retry import backoff

type_name = "polypool.core.error.{}".format
"""How an error of ours is named in a Failure; `result.py` finds the class by it."""

TRACEBACKS = 100
"""Steps behind a failed one that are told its traceback too. Each keeps what it is told: of a fan-out to thousands one
failure would fill the engine; `origin` says where it is to be read."""


def refuse(delivery: Delivery, known_tasks: Container[str], now: float) -> Outcome | None:
    """Why this delivery must not be run, as an outcome; None when it may run."""
    message = delivery.message
    if delivery.defect is not None:
        return undecodable(delivery.defect)
    if delivery.is_cancelled:
        return Cancelled()
    if delivery.cause is not None:
        return _not_run(decode(delivery.cause, Cause))
    if message.flow is not None and message.flow.gathers:
        return Done(by_reference(message.flow.inputs[0].ref))
    if message.task not in known_tasks:
        return Dead(
            f"unknown task {message.task!r}: no such task in the app this worker loaded; "
            "deploy the code that has it, then `polypool dead requeue`"
        )
    if message.expires is not None and now >= message.expires:
        return Failed(
            Failure(type_name("TaskExpired"), f"not begun before it expired, {now - message.expires:.3g} s ago")
        )
    if delivery.deliveries > message.policy.max_lost:
        return Dead(f"its process died in each of {delivery.deliveries - 1} runs")
    return None


def undecodable(defect: str) -> Dead:
    """The end of a message whose body cannot be read. Nobody knows then whether steps of a workflow wait for it."""
    return Dead(
        f"undecodable message: {defect}. Steps of a workflow that wait for it go on waiting: `polypool dead requeue` "
        "once workers run the release that wrote it, or `polypool workflow cancel`"
    )


def decide(delivery: Delivery, outcome: Outcome, now: float, random: Callable[[], float]) -> Settlement:
    """Turn the end of a run into the settlement that ends or repeats its message.

    `random` returns a float in [0, 1) and spreads retries.
    """
    settlement = _decide(delivery, outcome, now, random)
    flow, next = delivery.message.flow, settlement.next
    if flow is None or isinstance(next, Again):
        return settlement
    return msgspec.structs.replace(
        settlement,
        next=msgspec.structs.replace(next, keeps_body=True) if flow.keeps_body else next,
        signals=signals(delivery.message, next.state, next.failure),
    )


def signals(message: Message, state: State, failure: Failure | None) -> tuple[Signal, ...]:
    """What the ending of a message means to the steps that wait for it. For a `cancel` or a `purge` by a person the
    engine says CANCELLED and no failure."""
    if message.flow is None or not message.flow.then:
        return ()
    if state is State.SUCCEEDED:
        told: list[Signal] = []
        for next in message.flow.then:
            told += _after_success(next)
        return tuple(told)
    told_of = cause_of(Origin(message.id, message.task), state, failure)
    if sum(next.count or 1 for next in message.flow.then) > TRACEBACKS:
        told_of = Cause(state, msgspec.structs.replace(told_of.failure, traceback=""))
    cause = encode(told_of)
    return tuple(one for next in message.flow.then for one in _after_other_end(next, state, cause))


def cause_of(step: Origin, state: State, failure: Failure | None) -> Cause:
    """How this step ended, for one that is not to be run because of it. It may have been ended by another one itself:
    that is the origin then."""
    failure = failure or Failure(type_name("TaskCancelled"), "cancelled")
    return Cause(state, failure if failure.origin else msgspec.structs.replace(failure, origin=step))


def _after_success(next: Next) -> list[Signal]:
    if next.when == "failure":
        return [Signal(id, "drop") for id in next.ids()]
    if next.place == NO_PLACE:
        return []
    if next.count is None:  # each member of a group: as fast as can be
        return [Signal(next.id, "mark", next.place)]
    return [Signal(id, "mark", next.place) for id in next.ids()]


def _after_other_end(next: Next, state: State, cause: bytes) -> list[Signal]:
    if next.when == "flow":
        return [Signal(id, "break", next.place, cause) for id in next.ids()]
    if next.when == "failure" and state is State.FAILED:
        return [Signal(id, "mark", next.place) for id in next.ids() if next.place != NO_PLACE]
    return [Signal(id, "drop") for id in next.ids()]


def _not_run(cause: Cause) -> Outcome:
    if cause.state is State.CANCELLED:
        origin = cause.failure.origin
        step = f"{origin.task} {origin.id}" if origin else "a step before it"
        return Cancelled(f"not run: {step}, which it waited for, was cancelled", origin=origin)
    return Failed(cause.failure)


def _decide(delivery: Delivery, outcome: Outcome, now: float, random: Callable[[], float]) -> Settlement:
    match outcome:
        case Done(value, usage):
            ended = Ended(State.SUCCEEDED, value=value, ttl=delivery.message.policy.result_ttl, usage=usage)
            return Settlement(delivery, ended, now)
        case Failed(failure, usage):
            return _fail(delivery, failure, now, usage)
        case Retry(failure, countdown, usage):
            return _retry(delivery, failure, countdown, now, random, usage)
        case TimedOut(timeout, usage):
            return _time_out(delivery, timeout, now, random, usage)
        case Deferred() | Limited():
            until = outcome.until if isinstance(outcome, Deferred) else now + outcome.retry_after
            return Settlement(delivery, Again(delivery.deliveries - 1, due=until), now)
        case Priced(charges):
            return _price(delivery, charges, now)
        case Cancelled(reason, usage, origin):
            failure = Failure(type_name("TaskCancelled"), reason, origin=origin)
            ttl = delivery.message.policy.result_ttl
            return Settlement(delivery, Ended(State.CANCELLED, failure=failure, ttl=ttl, usage=usage), now)
        case Lost(reason):
            return _lose(delivery, reason, now)
        case Dead(reason):
            return _bury(delivery, reason, now)
        case Replaced(messages, flow):
            return _replace(delivery, messages, flow, now)


def _price(delivery: Delivery, charges: tuple[Charge, ...], now: float) -> Settlement:
    message = delivery.message
    flow = message.flow and msgspec.structs.replace(message.flow, waits=0)
    priced = msgspec.structs.replace(message, charges=charges, due=None, flow=flow)
    return Settlement(delivery, Again(delivery.deliveries - 1, message=priced), now)


def _replace(delivery: Delivery, messages: Sequence[Message], flow: Flow, now: float) -> Settlement:
    message = delivery.message
    if message.flow is not None:
        kept = message.flow
        flow = msgspec.structs.replace(flow, then=kept.then, plan=kept.plan, goes_on_from=kept.goes_on_from)
    waiting = msgspec.structs.replace(message, attempt=delivery.attempt, due=None, expires=None, flow=flow)
    return Settlement(delivery, Again(0, message=waiting), now, follow_ups=tuple(messages))


def _time_out(
    delivery: Delivery, timeout: float, now: float, random: Callable[[], float], usage: Usage | None
) -> Settlement:
    text = f"still running after its timeout of {timeout:g} s; its process was killed"
    failure = Failure(type_name("TimeLimitExceeded"), text)
    if delivery.message.policy.retries_timeout:
        return _retry(delivery, failure, None, now, random, usage)
    return _fail(delivery, failure, now, usage)


def _lose(delivery: Delivery, reason: str, now: float) -> Settlement:
    runs = delivery.deliveries
    if runs < delivery.message.policy.max_lost:
        return Settlement(delivery, Again(runs), now)
    return _bury(delivery, f"its process died in each of {runs} runs, the last time: {reason}", now)


def _fail(delivery: Delivery, failure: Failure, now: float, usage: Usage | None) -> Settlement:
    ended = Ended(State.FAILED, failure=failure, ttl=delivery.message.policy.result_ttl, usage=usage)
    return Settlement(delivery, ended, now)


def _bury(delivery: Delivery, reason: str, now: float) -> Settlement:
    failure = Failure(type_name("TaskLost"), reason)
    return Settlement(delivery, Ended(State.FAILED, failure=failure, dead=True), now)


def _retry(
    delivery: Delivery,
    failure: Failure | None,
    countdown: float | None,
    now: float,
    random: Callable[[], float],
    usage: Usage | None,
) -> Settlement:
    message, policy = delivery.message, delivery.message.policy
    if message.retries >= policy.max_retries:
        given_up = failure or Failure(type_name("RetryRequested"), f"gave up after {message.retries} retries")
        return _fail(delivery, given_up, now, usage)
    delay = backoff(policy, message.retries, random) if countdown is None else max(countdown, 0.0)
    due = now + delay
    flow = message.flow and msgspec.structs.replace(message.flow, waits=0)
    again = msgspec.structs.replace(
        message, attempt=delivery.attempt + 1, retries=message.retries + 1, due=due, flow=flow
    )
    return Settlement(delivery, Again(0, due=due, message=again), now)
