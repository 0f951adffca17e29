"""What advice says of which figures, and of which it says nothing."""

import pytest

from polypool.core.manifest import TaskSpec
from polypool.core.measure import Tally
from polypool.core.report import PoolReport
from polypool.observe.advice import Finding, advise
from polypool.observe.placement import MIN_RUNS
from tests.unit.observe.measured import one_by_one, together


def only(findings: list[Finding]) -> Finding:
    assert len(findings) == 1, findings
    return findings[0]


@pytest.mark.parametrize("pool", ["prefork", "solo"])
def test_a_task_that_waits_in_a_process_of_its_own_is_sent_where_waiting_is_cheap(pool: str) -> None:
    finding = only(advise([one_by_one("scan.answer", pool, wall=41.6, share=0.03)]))
    assert (finding.task, finding.pool, finding.severity) == ("scan.answer", pool, "hint")
    assert "41.6 s a run, 3 % of it CPU, over 100 runs" in finding.evidence
    assert "asyncio" in finding.change and "threads" in finding.change


def test_the_change_names_one_pool_where_the_app_is_known() -> None:
    tally = one_by_one("t", "prefork", wall=1.0, share=0.0)
    coroutine = only(advise([tally], [TaskSpec("t", "prefork", is_async=True)]))
    function = only(advise([tally], [TaskSpec("t", "prefork")]))
    assert "asyncio" in coroutine.change and "threads" not in coroutine.change
    assert 'pool="threads"' in function.change


@pytest.mark.parametrize("pool", ["asyncio", "threads", "gevent", "eventlet"])
def test_a_task_that_computes_beside_others_is_sent_to_processes(pool: str) -> None:
    finding = only(advise([one_by_one("t", pool, wall=0.2, share=0.9)]))
    assert finding.severity == "warning"
    assert "90 % of it CPU" in finding.evidence
    assert 'pool="prefork"' in finding.change


@pytest.mark.parametrize("pool", ["prefork", "solo"])
def test_a_task_that_computes_in_a_process_is_in_its_place(pool: str) -> None:
    assert advise([one_by_one("t", pool, wall=0.2, share=0.9)]) == []


@pytest.mark.parametrize("pool", ["asyncio", "threads", "gevent"])
def test_a_task_that_waits_beside_others_is_in_its_place(pool: str) -> None:
    assert advise([one_by_one("t", pool, wall=2.0, share=0.02)]) == []


def test_a_short_computation_on_the_loop_harms_nobody() -> None:
    assert advise([one_by_one("t", "asyncio", wall=0.002, share=1.0)]) == []


def test_threads_that_fight_for_the_gil_are_found_by_the_processor_they_fill() -> None:
    finding = only(advise([together("t", "threads", wall=1.0, cpu=0.05, at_once=20)]))
    assert finding.severity == "hint"
    assert "1.0 processors busy" in finding.evidence
    assert 'pool="prefork" if it computes' in finding.change
    assert "--pool threads=2x10" in finding.change


def test_a_processor_for_each_child_is_no_crowd() -> None:
    tally = together("t", "threads", wall=1.0, cpu=0.05, at_once=40)
    assert "4x10" in only(advise([tally], pools=[PoolReport("threads", 2, 64, 5)])).change
    assert advise([tally], pools=[PoolReport("threads", 4, 128, 5)]) == []


@pytest.mark.parametrize(
    "tally",
    [
        one_by_one("t", "prefork", wall=41.6, share=0.03, runs=MIN_RUNS - 1),
        one_by_one("t", "asyncio", wall=1.0, share=1.0, runs=MIN_RUNS - 1),
        one_by_one("t", "threads", wall=0.1, share=None),
        Tally("t", "prefork"),
    ],
    ids=["few runs that wait", "few runs that compute", "CPU never measured", "no run"],
)
def test_without_enough_measured_there_is_no_finding(tally: Tally) -> None:
    assert advise([tally], pools=[PoolReport(tally.pool, 1, 1, 1)]) == []


def test_a_blocked_loop_is_a_warning_at_once_because_it_was_seen() -> None:
    tally = one_by_one("t", "asyncio", wall=30.0, share=0.0, runs=1)
    tally.blocked = 1
    finding = only(advise([tally]))
    assert finding.severity == "warning"
    assert "blocked its event loop once in 1 run;" in finding.evidence


def test_waiting_in_a_full_pool_asks_for_a_larger_one() -> None:
    tally = together("t", "threads", wall=0.5, cpu=0.001, at_once=32, wait=20.0)
    finding = only(advise([tally], pools=[PoolReport("threads", 1, 32, 32)]))
    assert "20 s in the queue for 500 ms of running" in finding.evidence
    assert "all 32 slots" in finding.evidence
    assert "--pool threads=64" in finding.change


def test_a_pool_that_is_idle_now_but_was_full_while_it_worked_is_found_too() -> None:
    tally = together("t", "threads", wall=0.5, cpu=0.001, at_once=32, wait=20.0)
    assert advise([tally], pools=[PoolReport("threads", 1, 32, 0)])


def test_waiting_for_a_pool_with_free_slots_is_not_put_down_to_its_size() -> None:
    tally = together("t", "threads", wall=0.5, cpu=0.001, at_once=2, wait=20.0)
    assert advise([tally], pools=[PoolReport("threads", 1, 32, 3)]) == []


def test_waiting_while_no_worker_is_known_is_not_put_down_to_a_pool() -> None:
    assert advise([together("t", "threads", wall=0.5, cpu=0.001, at_once=32, wait=20.0)]) == []


def test_a_full_pool_of_processes_is_not_told_to_outgrow_its_processors() -> None:
    tally = one_by_one("t", "prefork", wall=0.5, share=1.0, wait=20.0)
    finding = only(advise([tally], pools=[PoolReport("prefork", 1, 1, 1)]))
    assert "where processors are free" in finding.change


def test_what_a_task_did_in_a_pool_it_has_left_is_history() -> None:
    left = one_by_one("t", "prefork", wall=1.0, share=0.0)
    now = one_by_one("t", "asyncio", wall=1.0, share=0.0)
    now.last_end = (left.last_end or 0) + 1
    assert advise([left, now]) == []
    assert advise([left], [TaskSpec("t", "asyncio", is_async=True)]) == []
    assert advise([left], [TaskSpec("another", "asyncio")]) == [], "the app no longer has this task"


def test_a_task_that_polypool_places_itself_gets_no_advice_to_move() -> None:
    assert advise([one_by_one("t", "threads", wall=1.0, share=1.0)], [TaskSpec("t", "auto")]) == []


def test_warnings_come_before_hints() -> None:
    findings = advise(
        [one_by_one("a", "prefork", wall=1.0, share=0.0), one_by_one("z", "asyncio", wall=1.0, share=1.0)]
    )
    assert [finding.task for finding in findings] == ["z", "a"]


def test_a_task_that_should_leave_its_pool_is_not_told_to_enlarge_it() -> None:
    tally = one_by_one("t", "prefork", wall=0.5, share=0.0, wait=20.0)
    finding = only(advise([tally], pools=[PoolReport("prefork", 1, 1, 1)]))
    assert "asyncio" in finding.change
