"""Strategies for the words of core, for the property tests."""

from hypothesis import strategies as st

from polypool.core.lifecycle import State
from polypool.core.message import Delivery, Message, Policy
from polypool.core.outcome import (
    Cancelled,
    Dead,
    Deferred,
    Done,
    Failed,
    Failure,
    Lost,
    Outcome,
    Retry,
    TimedOut,
    Usage,
)

times = st.floats(0, 4e9, allow_nan=False)
spans = st.floats(0, 1e6, allow_nan=False)
chances = st.floats(0, 1, exclude_max=True)
texts = st.text(max_size=20)

policies: st.SearchStrategy[Policy] = st.builds(
    Policy,
    timeout=st.none() | spans,
    max_retries=st.integers(0, 5),
    retry_backoff=st.floats(0, 1e4),
    retry_backoff_max=st.floats(0, 1e5),
    retry_jitter=st.booleans(),
    result_ttl=spans,
    max_lost=st.integers(1, 5),
    retries_timeout=st.booleans(),
)
messages: st.SearchStrategy[Message] = st.builds(
    Message,
    id=texts,
    task=texts,
    args=st.binary(max_size=30),
    queue=texts,
    pool=texts,
    priority=st.integers(-100, 100),
    sent_at=times,
    due=st.none() | times,
    expires=st.none() | times,
    attempt=st.integers(1, 9),
    retries=st.integers(0, 6),
    policy=policies,
    parent=st.none() | texts,
    root=st.none() | texts,
    headers=st.none() | st.dictionaries(texts, texts, max_size=3),
)
deliveries: st.SearchStrategy[Delivery] = st.builds(
    Delivery,
    message=messages,
    body=st.just(b""),
    token=st.integers(1, 99),
    deliveries=st.integers(1, 7),
    taken_at=times,
    handle=st.integers(0, 9),
    is_cancelled=st.booleans(),
    defect=st.none() | texts,
)
usages = st.none() | st.builds(Usage, started_at=times, wall=spans, cpu=st.none() | spans)
failures = st.builds(Failure, type=texts, message=texts, traceback=texts)
outcomes: st.SearchStrategy[Outcome] = st.one_of(
    st.builds(Done, value=st.binary(), usage=usages),
    st.builds(Failed, failure=failures, usage=usages),
    st.builds(Retry, failure=st.none() | failures, countdown=st.none() | st.floats(-10, 1e6), usage=usages),
    st.builds(Deferred, until=st.none() | times),
    st.builds(Cancelled, reason=texts, usage=usages),
    st.builds(Lost, reason=texts),
    st.builds(TimedOut, timeout=spans, usage=usages),
    st.builds(Dead, reason=texts),
)
states = st.sampled_from(State)
