"""Ids of events are cursors."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polypool.core.event import Event, cursor

numbers = st.integers(0, 1 << 62)


@given(numbers, numbers)
def test_the_cursor_of_an_events_id_is_its_run_and_number(run: int, number: int) -> None:
    assert cursor(Event(run, number, "emit", b"", 0.0).id) == (run, number)


@pytest.mark.parametrize("text", ["", "1", "1-", "-1", "1-x", "x-1", "1--1", "1-2-3", "1.5-2"])
def test_what_is_no_id_is_refused_with_what_one_looks_like(text: str) -> None:
    with pytest.raises(ValueError, match="ids look like '1-42'"):
        cursor(text)
