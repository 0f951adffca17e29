"""How much work a child may be given ahead of its slots."""

import pytest

from polypool.pools.pace import AHEAD_SECONDS, MOST_AHEAD, Pace, ahead


@pytest.mark.parametrize(
    ("wall", "concurrency", "calls"),
    [
        (None, 1, 0),  # never measured: it might be long
        (40.0, 1000, 0),  # the prefetch trap
        (AHEAD_SECONDS, 1, 0),
        (0.010, 1, 5),
        (0.010, 4, 20),
        (0.000_1, 1, 500),
        (0.0, 1, MOST_AHEAD),
    ],
)
def test_what_is_given_ahead_is_fifty_milliseconds_of_measured_work(
    wall: float | None, concurrency: int, calls: int
) -> None:
    assert ahead(wall, concurrency) == calls


def test_a_task_that_became_long_is_soon_given_ahead_no_more() -> None:
    pace = Pace()
    for _ in range(100):
        pace.measured("thumbnail", 0.001)
    assert pace.allowance(1) > 40
    for _ in range(3):
        pace.measured("thumbnail", 1.0)
    assert pace.allowance(1) == 0
    assert ahead(pace.expected("thumbnail"), 1) == 0


def test_forgetting_the_mix_stops_giving_ahead_until_a_run_has_ended() -> None:
    pace = Pace()
    pace.measured("short", 0.001)
    pace.forget_mix()
    assert pace.allowance(1) == 0
    pace.measured("short", 0.001)
    assert pace.allowance(1) > 0
