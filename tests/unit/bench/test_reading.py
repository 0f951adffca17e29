"""Readings, goals and the numbers in the table."""

import pytest

from bench.reading import Reading, at_least, at_most
from bench.table import number


def test_the_median_and_not_the_best_sample_is_held_against_the_goal() -> None:
    assert not Reading("rate", "tasks/s", [100.0, 10.0, 11.0], at_least(50)).is_met
    assert Reading("time", "ms", [100.0, 1.0, 2.0], at_most(3)).is_met


def test_a_reading_without_a_goal_is_neither_reached_nor_missed() -> None:
    assert Reading("rate", "tasks/s", [1.0]).is_met is None


@pytest.mark.parametrize(
    ("value", "shown"), [(123_456.7, "123,457"), (123.4, "123"), (5.0, "5"), (0.3333, "0.333"), (12.34, "12.3")]
)
def test_numbers_show_the_digits_that_count(value: float, shown: str) -> None:
    assert number(value) == shown
