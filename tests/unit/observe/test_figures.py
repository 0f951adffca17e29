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


def test_a_long_run_that_spans_two_reports_is_busy_once() -> None:
    first = tally_of("t", "asyncio", [(0.0, 2.0, None)])
    second = first.renewed()
    second.succeeded += 1
    second.add(Usage(0.0, 40.0), 0.0)
    reported = Tally("t", "asyncio")
    reported.merge(first)
    reported.merge(second)
    assert reported.busy == pytest.approx(40.0)
    assert reported.last_end == pytest.approx(40.0)
    assert second.runs == 1


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
