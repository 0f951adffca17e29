"""The arithmetic of rates: the leaky bucket read as a meter, held against its other form and against every window."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polypool.core.ledger import Rate, Slot
from polypool.core.meter import MOMENT, Meter

START = 1_700_000_000.0
rates = st.builds(
    lambda amount, per, burst: Rate("k", amount, per, burst=burst),
    st.sampled_from([1.0, 7.0, 500.0, 1e7]),
    st.sampled_from([1.0, 60.0, 86_400.0]),
    st.sampled_from([1.0, 10.0, 333.3]),
)
arrivals = st.lists(
    st.tuples(st.floats(0.0, 2.0, allow_subnormal=False), st.floats(0.0, 1.0, allow_subnormal=False)), max_size=60
)
"""Pauses between, as shares of the time that a burst takes to run out, and costs, as shares of the burst."""


def admitted(meter: Meter, rate: Rate, cost: float, now: float) -> bool:
    charge = Rate(rate.key, rate.amount, rate.per, cost, rate.burst)
    meter.drain(now)
    meter.declare(charge)
    if meter.wait(charge, now) > 0:
        return False
    meter.add(charge)
    return True


@given(rates, arrivals)
def test_it_decides_as_the_form_with_arrival_times_does(rate: Rate, steps: list[tuple[float, float]]) -> None:
    """The virtual scheduling algorithm: each arrival has a theoretical time, and may be early by the tolerance."""
    interval, meter, now, expected = rate.per / rate.amount, Meter(), START, -math.inf
    for pause, share in steps:
        now, cost = now + pause * rate.burst * interval, share * rate.burst
        early = max(expected, now) - now - (rate.burst - cost) * interval
        if abs(early - MOMENT) < MOMENT / 2:
            continue  # a tie that rounding decides
        conforms = early <= MOMENT
        assert admitted(meter, rate, cost, now) == conforms
        if conforms:
            expected = max(expected, now) + cost * interval


@given(rates, arrivals)
def test_no_window_holds_more_than_runs_out_in_it_and_the_burst(rate: Rate, steps: list[tuple[float, float]]) -> None:
    meter, now, passed = Meter(), START, list[tuple[float, float]]()
    per_second = rate.amount / rate.per
    for pause, share in steps:
        now, cost = now + pause * rate.burst / per_second, share * rate.burst
        if admitted(meter, rate, cost, now):
            passed.append((now, cost))
    for first, (begin, _) in enumerate(passed):
        total = 0.0
        for at, cost in passed[first:]:
            total += cost
            assert total <= rate.burst * (1 + 1e-9) + per_second * (at - begin + 2 * MOMENT)


@given(rates, arrivals)
def test_who_waits_as_long_as_told_passes(rate: Rate, steps: list[tuple[float, float]]) -> None:
    meter, now = Meter(), START
    for pause, share in steps:
        now += pause * rate.burst * rate.per / rate.amount
        charge = Rate(rate.key, rate.amount, rate.per, share * rate.burst, rate.burst)
        meter.drain(now)
        meter.declare(charge)
        now += meter.wait(charge, now)
        assert admitted(meter, rate, charge.cost, now)


@given(rates, st.floats(0.1, 10.0), st.floats(0.0, 20.0))
def test_a_level_runs_out_when_it_is_said_to_whatever_limit_counts_meanwhile(
    rate: Rate, factor: float, share: float
) -> None:
    span = rate.burst * rate.per / rate.amount
    meter = Meter(at=START, amount=rate.amount, per=rate.per, burst=rate.burst, level=rate.burst)
    meter.adapted_amount, meter.adapted_per, meter.adapted_until = rate.amount * factor, rate.per, START + share * span
    ready = START + meter.seconds(meter.level, START)
    meter.drain(START + (ready - START) / 3)
    meter.drain(ready)
    assert meter.level * rate.per / rate.amount <= 2 * MOMENT * max(factor, 1.0)


def test_a_clock_that_goes_back_gives_no_room() -> None:
    meter, rate = Meter(), Rate("k", 1.0, 1.0)
    assert admitted(meter, rate, 1.0, START)
    assert not admitted(meter, rate, 1.0, START - 100.0)
    assert not admitted(meter, rate, 1.0, START + 0.5)
    assert admitted(meter, rate, 1.0, START + 1.0)


def test_a_rate_that_changes_leaves_what_was_used() -> None:
    meter = Meter()
    assert admitted(meter, Rate("k", 10.0, 1.0, burst=10.0), 10.0, START)
    slow = Rate("k", 1.0, 1.0, 4.0, burst=10.0)
    meter.drain(START)
    meter.declare(slow)
    assert meter.wait(slow, START) == pytest.approx(4.0)


def test_what_had_run_out_already_cannot_be_taken_back() -> None:
    meter = Meter()
    assert admitted(meter, Rate("k", 1.0, 1.0, burst=5.0), 5.0, START)
    meter.drain(START + 4.0)
    meter.take_back(5.0)
    assert meter.level == 0.0


def test_a_meter_is_over_when_nothing_is_used_held_paused_or_adapted_any_more() -> None:
    rate = Rate("k", 1.0, 1.0, burst=5.0)
    used = Meter()
    assert admitted(used, rate, 5.0, START)
    assert used.over_at(START) == START + 5.0
    used.add(Slot("k", 1))
    assert used.over_at(START) is None
    assert Meter(paused_until=START + 1).over_at(START) == START + 1
    assert Meter(adapted_until=START + 1).over_at(START) == START + 1


def test_people_see_the_limit_that_counts_now() -> None:
    meter = Meter(at=START, amount=500.0, per=60.0, burst=2.0, adapted_amount=90.0, adapted_per=30.0)
    assert (meter.gauge("k", START).amount, meter.gauge("k", START).per) == (500.0, 60.0)
    meter.adapted_until = START + 1
    gauge = meter.gauge("k", START)
    assert (gauge.amount, gauge.per, gauge.burst, gauge.limit, gauge.is_adapted) == (90.0, 30.0, 2.0, None, True)
