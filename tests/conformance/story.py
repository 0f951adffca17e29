"""What the stories of test_state_machine.py are made of: names, orders, workflows of any shape, and ways to end."""

from hypothesis import strategies as st

from polypool.core.codec import decode
from polypool.core.join import NO_PLACE, OPEN, Flow, Next
from polypool.core.message import Delivery
from polypool.core.outcome import Cancelled, Cause, Dead, Deferred, Done, Failed, Failure, Lost, Outcome, Retry
from tests.conformance.model import Because

WORKERS = ["w1", "w2"]
NAMES = [f"m{n}" for n in range(6)]
BACK = st.integers(1, 8)
DELAYS = st.integers(0, 9)
BATCH = st.lists(st.sampled_from(NAMES), min_size=1, max_size=4)
OUTCOMES: list[Outcome] = [
    Done(b"\x01"),
    Failed(Failure("E", "no")),
    Retry(),
    Deferred(),
    Deferred(until=1_000_009.0),
    Cancelled(),
    Lost("killed"),
    Dead("unknown task"),
]
MOSTLY_DONE = st.lists(st.sampled_from([*OUTCOMES, *[OUTCOMES[0]] * 16]), max_size=5)
JOINS = st.sampled_from([2, 2, 3, 3, OPEN])
"""For how many places a join waits."""
NEXTS = st.builds(
    Next,
    st.sampled_from(NAMES[:3]),
    st.sampled_from([0, 0, 1, 1, 70, NO_PLACE]),
    st.sampled_from(["flow", "flow", "flow", "success", "failure"]),
)
FLOWS = st.one_of(
    st.none(),
    st.builds(
        Flow,
        st.sampled_from([0, 0, 1, 2, 2, OPEN]),
        st.lists(NEXTS, max_size=3).map(tuple),
        countdown=st.sampled_from([0.0, 0.0, 3.0]),
    ),
)
"""Of any shape, rings among them: what a composed workflow never is, an engine can be told all the same."""


def because(delivery: Delivery) -> Because | None:
    if delivery.cause is None:
        return None
    cause = decode(delivery.cause, Cause)
    assert cause.failure.origin is not None
    return cause.state, cause.failure.origin.id
