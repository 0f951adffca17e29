"""A step that looks back ends as the one did that was over before anybody waited for it."""

from collections.abc import Generator
from typing import Any

import msgspec
import pytest

from polypool.core.ask import Read
from polypool.core.codec import decode, encode
from polypool.core.event import Record
from polypool.core.join import Flow
from polypool.core.late import looked_back, looks_back
from polypool.core.lifecycle import State
from polypool.core.message import Delivery, Message
from polypool.core.outcome import Cause, Failure, Origin

LAST = Message("x~-all", "polypool.group", b"", flow=Flow(gathers=True, ends_with="x~"))
FAILED = Record("x~", State.FAILED, "polypool.group", failure=Failure("ValueError", "no", origin=Origin("x~-7", "t")))


def delivery(message: Message = LAST) -> Delivery:
    return Delivery(message, b"", 1, 1, 0.0)


def after(reading: Generator[Any, Any, Delivery], record: Record | None) -> Delivery:
    """What comes of it where the engine knows this of the step."""
    assert next(reading) == Read(["x~"])
    with pytest.raises(StopIteration) as end:
        reading.send([record])
    seen: Delivery = end.value.value
    return seen


def cause_of(seen: Delivery) -> Cause:
    assert seen.cause is not None
    return decode(seen.cause, Cause)


def test_of_a_step_that_failed_it_gets_the_cause_with_the_step_where_it_began() -> None:
    assert FAILED.failure is not None
    assert cause_of(after(looked_back(delivery()), FAILED)) == Cause(State.FAILED, FAILED.failure)


def test_of_a_step_that_was_cancelled_it_gets_that_step_as_the_cause() -> None:
    cancelled = Record("x~", State.CANCELLED, "polypool.group")
    cause = cause_of(after(looked_back(delivery()), cancelled))
    assert (cause.state, cause.failure.origin) == (State.CANCELLED, Origin("x~", "polypool.group"))


def test_an_ending_that_is_no_longer_kept_is_a_failure_that_says_so() -> None:
    cause = cause_of(after(looked_back(delivery()), None))
    assert cause.state is State.FAILED and "result_ttl" in cause.failure.message


@pytest.mark.parametrize("state", [State.SCHEDULED, State.QUEUED, State.RUNNING, State.SUCCEEDED])
def test_what_goes_on_or_went_well_changes_nothing(state: State) -> None:
    assert after(looked_back(delivery()), Record("x~", state, "polypool.group")) == delivery()


def test_a_cause_that_it_has_is_kept_and_nothing_is_asked() -> None:
    broken = msgspec.structs.replace(delivery(), cause=encode(Cause(State.FAILED, Failure("E", "earlier"))))
    assert next(looked_back(broken), "nothing") == "nothing"


def test_other_steps_do_not_look_back() -> None:
    assert looks_back(delivery())
    assert not looks_back(delivery(Message("a", "t", b"")))
    assert not looks_back(delivery(Message("a", "t", b"", flow=Flow())))
