"""Figures as people read them."""

import math

import pytest

from polypool.observe.words import ago, number, percent, size, span


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, "–"),
        (math.nan, "–"),
        (0.0, "0 s"),
        (0.000_012, "12 µs"),
        (0.000_999, "999 µs"),
        (0.001, "1 ms"),
        (0.0416, "41.6 ms"),
        (0.25, "250 ms"),
        (1.0, "1 s"),
        (1.5, "1.5 s"),
        (41.65, "41.6 s"),
        (119.0, "119 s"),
        (186.0, "3.1 min"),
        (7_200.0, "2 h"),
        (200_000.0, "2.31 d"),
    ],
)
def test_a_span_is_said_in_two_or_three_digits(seconds: float | None, said: str) -> None:
    assert span(seconds) == said


def test_a_share_too_small_to_round_is_not_said_to_be_nothing() -> None:
    assert (percent(0.0), percent(0.004), percent(0.5), percent(None)) == ("0 %", "< 1 %", "50 %", "–")


def test_sizes_are_in_megabytes_and_numbers_short() -> None:
    assert (size(61_400_000), size(None)) == ("61 MB", "–")
    assert (number(0.0323), number(3.14159), number(1234.5), number(None)) == ("0.032", "3.14", "1,234", "–")


def test_what_is_less_than_a_second_over_is_now_even_by_a_clock_that_lags() -> None:
    assert (ago(0.4), ago(-3.0), ago(12.0)) == ("now", "now", "12 s ago")
