"""What is derived from what was counted."""

import math

import msgspec
import pytest

from polypool.core.measure import Tally
from polypool.core.outcome import Usage
from polypool.observe.figures import figures
from tests.unit.observe.measured import one_by_one, tally_of, together


def test_runs_one_after_another_need_one_slot() -> None:
    assert figures(one_by_one("t", "threads", wall=2.0, share=0.0)).concurrency == pytest.approx(1.0)


def test_littles_law_gives_how_many_runs_are_under_way_at_once() -> None:
    # 50 begin together and take 4 s, five times: arrival rate 12.5/s × 4 s.
    seen = figures(together("t", "asyncio", wall=4.0, cpu=0.0, at_once=50))
    assert seen.rate == pytest.approx(12.5)
    assert seen.concurrency == pytest.approx(50.0)


def test_time_in_which_nothing_ran_does_not_count_as_busy() -> None:
    tally = tally_of("t", "threads", [(0.0, 1.0, 0.5), (1_000.0, 1.0, 0.5)])
    assert tally.busy == pytest.approx(2.0)
    assert figures(tally).concurrency == pytest.approx(1.0)


@pytest.mark.parametrize("every", [0.5, 2.0, 7.0, 1_000.0])
def test_runs_that_outlast_the_interval_between_reports_are_counted_as_busy_once(every: float) -> None:
    # One begins every 0.2 s and takes 3 s: 15 are under way, however often the worker reports.
    ends = [(index * 0.2, 3.0) for index in range(200)]
    reported, report, due = Tally("t", "asyncio"), Tally("t", "asyncio"), every
    for began_at, wall in ends:
        while began_at + wall > due:
            reported.merge(report)
            report, due = Tally("t", "asyncio"), due + every
        report.succeeded += 1
        report.add(Usage(began_at, wall), 0.0)
    reported.merge(report)
    assert reported.busy == pytest.approx(199 * 0.2 + 3.0)
    assert figures(reported).concurrency == pytest.approx(600 / 42.8)


def test_what_two_workers_run_at_the_same_time_is_under_way_together() -> None:
    merged = Tally("t", "asyncio")
    for began_at in (0.0, 0.3):
        merged.merge(tally_of("t", "asyncio", ((began_at + index, 1.0, 0.5) for index in range(10))))
    assert merged.busy == pytest.approx(10.3)
    assert figures(merged).concurrency == pytest.approx(20 / 10.3)


def test_reports_that_lie_apart_add_up() -> None:
    merged = tally_of("t", "threads", [(0.0, 1.0, None)])
    merged.merge(tally_of("t", "threads", [(500.0, 2.0, None)]))
    assert merged.busy == pytest.approx(3.0)
    assert (merged.first_start, merged.last_end) == (0.0, 502.0)


def test_threads_that_compute_together_fill_a_processor_though_the_share_of_each_is_small() -> None:
    # 20 threads under one GIL: each needs 50 ms of CPU and gets them in 1 s.
    seen = figures(together("t", "threads", wall=1.0, cpu=0.05, at_once=20))
    assert seen.cpu_share == pytest.approx(0.05)
    assert seen.processors == pytest.approx(1.0)


def test_cpu_that_was_sampled_in_some_runs_only_stands_for_all() -> None:
    runs = [(float(index), 1.0, 0.8 if index % 4 == 0 else None) for index in range(40)]
    seen = figures(tally_of("t", "threads", runs))
    assert seen.cpu_share == pytest.approx(0.8)
    assert seen.processors == pytest.approx(0.8)


def test_nothing_is_derived_from_no_run() -> None:
    seen = figures(Tally("t", "threads"))
    derived = (
        seen.mean_wall,
        seen.p95_wall,
        seen.mean_wait,
        seen.cpu_share,
        seen.rate,
        seen.concurrency,
        seen.processors,
    )
    assert derived == (None,) * 7


def test_figures_are_json_whatever_was_measured() -> None:
    for tally in (Tally("t", "threads"), one_by_one("t", "threads", wall=1e6, share=1.0)):
        decoded = msgspec.json.decode(msgspec.json.encode(figures(tally)))
        assert not any(isinstance(value, float) and not math.isfinite(value) for value in decoded.values())


def test_a_tally_of_an_older_release_without_the_newest_fields_is_read() -> None:
    written = msgspec.msgpack.decode(msgspec.msgpack.encode(one_by_one("t", "threads", 1.0, 0.5)))
    older = msgspec.msgpack.encode(written[: Tally.__struct_fields__.index("busy")])
    read = msgspec.msgpack.decode(older, type=Tally)
    assert read.runs == 100
    assert figures(read).concurrency is None


@pytest.mark.parametrize("wall", [0.000_02, 0.0042, 0.1, 41.65, 1_000.0])
def test_quantiles_are_right_to_the_width_of_a_bucket(wall: float) -> None:
    seen = figures(one_by_one("t", "threads", wall=wall, share=0.0))
    for quantile in (seen.p50_wall, seen.p95_wall, seen.p99_wall):
        assert quantile is not None
        assert wall / 1.5 <= quantile <= wall * 1.5


def test_quantiles_rise_with_the_share_of_runs_they_cover() -> None:
    tally = tally_of("t", "threads", ((index, index / 100, None) for index in range(1, 1_001)))
    quantiles = [tally.quantile(q / 100) for q in range(1, 101)]
    assert quantiles == sorted(quantiles)
    assert tally.quantile(0.5) == pytest.approx(5.0, rel=0.1)
    assert tally.quantile(0.95) == pytest.approx(9.5, rel=0.1)


def test_a_quantile_among_runs_of_an_hour_is_said_to_be_beyond_and_not_a_number() -> None:
    tally = one_by_one("t", "threads", wall=3_600.0, share=0.0)
    assert tally.quantile(0.5) == math.inf
    assert figures(tally).p50_wall is None


def test_tallies_with_histograms_of_two_lengths_are_added_up() -> None:
    tally = one_by_one("t", "threads", wall=1.0, share=0.0, runs=3)
    older = Tally("t", "threads", succeeded=1, walls=[1] + [0] * 39)
    tally.merge(older)
    assert sum(tally.walls) == 4
