"""Tallies: sums that do not depend on who adds them up."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polypool.core.measure import BUCKETS, RATIO, SHORTEST, Tally, bucket
from polypool.core.outcome import Usage

runs = st.lists(
    st.tuples(st.floats(0, 1e4), st.floats(0, 100), st.none() | st.floats(0, 50), st.floats(0, 1e3)), max_size=20
)
Run = tuple[float, float, float | None, float]


def tally(given_runs: list[Run]) -> Tally:
    made = Tally("t", "threads")
    for start, wall, cpu, wait in sorted(given_runs, key=lambda run: run[0] + run[1]):
        made.add(Usage(start, wall, cpu), wait)
        made.succeeded += 1
    return made


@given(runs, runs)
def test_merging_is_adding_up_what_was_measured_apart(one: list[Run], other: list[Run]) -> None:
    merged, whole = tally(one), tally(one + other)
    merged.merge(tally(other))
    assert (merged.succeeded, merged.cpu_runs, merged.walls) == (whole.succeeded, whole.cpu_runs, whole.walls)
    for name in ("wall", "wait", "cpu", "cpu_wall"):
        assert getattr(merged, name) == pytest.approx(getattr(whole, name))


@given(runs, runs, runs)
def test_the_order_of_merging_does_not_matter_for_sums(a: list[Run], b: list[Run], c: list[Run]) -> None:
    left, right = tally(a), tally(c)
    left.merge(tally(b))
    left.merge(tally(c))
    right.merge(tally(b))
    right.merge(tally(a))
    assert (left.runs, left.walls, left.cpu_runs) == (right.runs, right.walls, right.cpu_runs)
    assert left.wall == pytest.approx(right.wall)


@given(runs)
def test_time_under_way_is_at_most_the_sum_of_runs_and_the_span_they_cover(given_runs: list[Run]) -> None:
    made = tally(given_runs)
    spans = [(start, start + wall) for start, wall, *_ in given_runs]
    assert made.busy <= sum(end - start for start, end in spans) + 1e-6
    assert made.busy <= max((end for _, end in spans), default=0) - min((start for start, _ in spans), default=0) + 1e-6


@given(st.lists(st.floats(0, 1e3), min_size=1, max_size=20), st.floats(0, 50))
def test_time_under_way_of_runs_of_one_length_is_what_they_cover_together(starts: list[float], wall: float) -> None:
    covered, reached = 0.0, -math.inf
    for start in sorted(starts):
        covered += start + wall - max(start, reached)
        reached = start + wall
    assert tally([(start, wall, None, 0.0) for start in starts]).busy == pytest.approx(covered, abs=1e-6)


@given(st.floats(0, 1e9))
def test_a_wall_time_falls_in_the_bucket_that_bounds_it(seconds: float) -> None:
    index = bucket(seconds)
    assert 0 <= index < BUCKETS
    if index < BUCKETS - 1:
        assert seconds <= SHORTEST * math.pow(RATIO, index) * (1 + 1e-9)
    if index > 0:
        assert seconds > SHORTEST * math.pow(RATIO, index - 1) * (1 - 1e-9)


@given(st.floats(0, 1e9), st.floats(0, 1e9))
def test_a_longer_time_is_never_in_an_earlier_bucket(one: float, other: float) -> None:
    assert bucket(min(one, other)) <= bucket(max(one, other))


@given(st.lists(st.floats(1e-5, 30), min_size=1, max_size=60), st.floats(0.01, 1))
def test_a_quantile_is_right_to_the_width_of_a_bucket(walls: list[float], q: float) -> None:
    made = Tally("t", "threads")
    for wall in walls:
        made.add(Usage(0.0, wall), 0.0)
    exact = sorted(walls)[max(math.ceil(q * len(walls)) - 1, 0)]
    assert exact / RATIO / 1.01 <= made.quantile(q) <= exact * RATIO * 1.01


def test_an_empty_tally_claims_nothing() -> None:
    empty = Tally("t", "threads")
    assert empty.runs == 0 and math.isnan(empty.mean_wall) and math.isnan(empty.quantile(0.5))
    assert (empty.cpu_share, empty.cpu_per_run, empty.concurrency, empty.processors) == (None, None, None, None)


def test_runs_whose_cpu_was_not_sampled_do_not_dilute_its_share() -> None:
    made = tally([(0.0, 2.0, 1.0, 0.0), (10.0, 50.0, None, 0.0)])
    assert (made.cpu_share, made.cpu_per_run) == (0.5, 1.0)
