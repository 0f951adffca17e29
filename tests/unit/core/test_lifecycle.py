"""The state machine of a message."""

import pytest

from polypool.core.lifecycle import FINAL, MOVES, WAITING, State


def test_every_state_says_where_it_may_lead() -> None:
    assert set(MOVES) == set(State)


def test_every_state_can_be_reached_from_the_two_a_message_begins_in() -> None:
    reached, new = set[State](), set(WAITING)
    while new:
        reached |= new
        new = {after for before in new for after in MOVES[before]} - reached
    assert reached == set(State)


@pytest.mark.parametrize("state", State)
def test_every_unended_state_can_still_end(state: State) -> None:
    assert state in FINAL or any(after in FINAL for after in MOVES[state])


def test_only_a_failed_message_leaves_its_end() -> None:
    assert [state for state in FINAL if MOVES[state]] == [State.FAILED]


def test_the_names_are_those_of_the_design() -> None:
    assert [state.value for state in State] == ["scheduled", "queued", "running", "succeeded", "failed", "cancelled"]
    assert {state for state in State if state.is_final} == FINAL
