"""Where tasks of pool="auto" go."""

import pytest

from polypool.core.measure import Tally
from polypool.observe.placement import MIN_RUNS, place
from tests.unit.observe.measured import one_by_one, together


def placed(is_async: bool, *tallies: Tally, current: str | None = None) -> str:
    return place(is_async, {tally.pool: tally for tally in tallies}, current)


@pytest.mark.parametrize(("is_async", "pool"), [(False, "threads"), (True, "asyncio")])
def test_a_task_nobody_has_measured_begins_where_waiting_is_cheap(is_async: bool, pool: str) -> None:
    assert placed(is_async) == pool


def test_a_function_that_computes_moves_to_processes() -> None:
    assert placed(False, one_by_one("t", "threads", wall=0.1, share=0.9), current="threads") == "prefork"


def test_a_function_that_waits_stays_on_threads() -> None:
    assert placed(False, one_by_one("t", "threads", wall=0.1, share=0.05), current="threads") == "threads"


def test_nothing_moves_before_there_are_enough_runs() -> None:
    few = one_by_one("t", "threads", wall=0.1, share=0.9, runs=MIN_RUNS - 1)
    assert placed(False, few, current="threads") == "threads"


def test_short_calls_stay_on_threads_however_much_of_them_is_cpu() -> None:
    assert placed(False, one_by_one("t", "threads", wall=0.000_2, share=1.0), current="threads") == "threads"


def test_threads_that_compute_together_move_although_the_share_of_each_is_small() -> None:
    crowd = together("t", "threads", wall=1.0, cpu=0.05, at_once=20)
    assert (crowd.cpu_share or 0) < 0.1
    assert placed(False, crowd, current="threads") == "prefork"


def test_a_task_that_turns_out_to_wait_comes_back_from_processes() -> None:
    crowd = together("t", "threads", wall=1.0, cpu=0.05, at_once=20)
    alone = one_by_one("t", "prefork", wall=1.0, share=0.05)
    assert placed(False, crowd, alone, current="prefork") == "threads"
    assert placed(False, crowd, alone, current="threads") == "threads", "and does not swing"


def test_between_the_two_thresholds_a_task_stays_where_it_is() -> None:
    between = one_by_one("t", "prefork", wall=1.0, share=0.35)
    assert placed(False, between, current="prefork") == "prefork"
    assert placed(False, between, current="threads") == "threads"


def test_a_task_just_moved_to_processes_stays_until_it_is_measured_there() -> None:
    before = one_by_one("t", "threads", wall=1.0, share=0.9)
    few = one_by_one("t", "prefork", wall=1.0, share=0.0, runs=MIN_RUNS - 1)
    assert placed(False, before, few, current="prefork") == "prefork"


def test_a_coroutine_that_computes_moves_to_processes() -> None:
    assert placed(True, one_by_one("t", "asyncio", wall=0.1, share=0.9), current="asyncio") == "prefork"


def test_coroutines_that_wait_together_stay_though_they_fill_a_processor() -> None:
    # A thousand calls of a provider, 20 ms of CPU each in 20 s: more children help, two processes would not.
    busy = together("t", "asyncio", wall=20.0, cpu=0.02, at_once=1_000)
    assert placed(True, busy, current="asyncio") == "asyncio"


def test_a_coroutine_that_keeps_blocking_its_loop_moves_and_does_not_come_back() -> None:
    blocking = one_by_one("t", "asyncio", wall=5.0, share=0.0, runs=5)
    blocking.blocked = 5
    assert placed(True, blocking, current="asyncio") == "prefork"
    alone = one_by_one("t", "prefork", wall=5.0, share=0.0)
    assert placed(True, blocking, alone, current="prefork") == "prefork"


def test_one_blocked_loop_in_many_runs_moves_nobody() -> None:
    once = one_by_one("t", "asyncio", wall=1.0, share=0.01, runs=500)
    once.blocked = 1
    assert placed(True, once, current="asyncio") == "asyncio"
