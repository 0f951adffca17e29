"""Late: steps that are put when what they wait for may be over. An ending is told to those that wait by then; whoever
begins to wait afterwards has to look."""

from collections.abc import Generator
from typing import Any

import msgspec

from polypool.core.ask import Ask, Read
from polypool.core.codec import encode
from polypool.core.decide import cause_of, type_name
from polypool.core.event import Record
from polypool.core.lifecycle import State
from polypool.core.message import Delivery
from polypool.core.outcome import Failure, Origin


def looks_back(delivery: Delivery) -> bool:
    """Whether it is to be looked at how another step ended before this one is ended or run."""
    return delivery.message.flow is not None and delivery.message.flow.ends_with is not None


def looked_back(delivery: Delivery) -> Generator[Ask, Any, Delivery]:
    """It, with a cause where the step that it `ends_with` did not end well."""
    flow = delivery.message.flow
    if flow is None or flow.ends_with is None or delivery.cause is not None:
        return delivery
    record: Record | None
    (record,) = yield Read([flow.ends_with])
    if record is None:
        failure = Failure(type_name("InputMissing"), "it ended early, and how is no longer kept: raise its result_ttl")
        cause = cause_of(Origin(flow.ends_with, delivery.message.task), State.FAILED, failure)
    elif record.state.is_final and record.state is not State.SUCCEEDED:
        cause = cause_of(Origin(record.id, record.task), record.state, record.failure)
    else:
        return delivery
    return msgspec.structs.replace(delivery, cause=encode(cause))
