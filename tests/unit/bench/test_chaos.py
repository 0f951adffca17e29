"""What the judge of the chaos runs lets pass and what it does not: a history for each."""

from collections.abc import Sequence
from pathlib import Path

from bench.chaos.field import Outcome, Plan
from bench.chaos.history import Act, History, Line, Ran, Sent, read
from bench.chaos.judge import Case, Fence, Verdict, judge
from bench.chaos.report import markdown, violations, write
from bench.chaos.report import read as report_of
from bench.chaos.send import parcels
from polypool.core.codec import encode
from polypool.core.event import Record
from polypool.core.lifecycle import State
from polypool.core.outcome import Failure

ID, PID, OTHER_PID, WORKER, OTHER = "1-0-0", 10, 20, "0.1", "1.1"
SENT = (Sent("sending", 0.0, ID, "naps"), Sent("accepted", 0.1, ID, "naps"))
LOST = Failure("polypool.core.error.TaskLost", "its process died in each of 3 runs, the last time: SIGSEGV")
TOO_LONG = Failure("polypool.core.error.TimeLimitExceeded", "still running after its timeout of 1 s")


def run(token: int, begun: float, ended: float | None = None, task: str = "naps", worker: str = WORKER) -> list[Line]:
    pid = PID if worker == WORKER else OTHER_PID
    lines: list[Line] = [Ran("begun", begun, ID, task, token, pid, worker)]
    return lines if ended is None else [*lines, Ran("ended", ended, ID, task, token, pid, worker)]


def succeeded(token: int) -> Record:
    return Record(ID, State.SUCCEEDED, "naps", encode(f"{ID} {token}"))


def verdict_on(
    lines: Sequence[Line], record: Record | None, fences: Sequence[Fence] = (), excuses_outages: bool = True
) -> Verdict:
    return judge(Case(lines, fences, 2.0, excuses_outages), {} if record is None else {ID: record}, {})


def test_what_was_accepted_and_ended_well_breaks_nothing() -> None:
    verdict = verdict_on([*SENT, *run(1, 1.0, 2.0)], succeeded(1))
    assert (verdict.sent, verdict.ended, verdict.reruns, verdict.violations) == (1, 1, 0, [])


def test_what_was_accepted_and_is_gone_is_a_violation() -> None:
    assert verdict_on(SENT, None).violations == [f"{ID} (naps): accepted and not ended: unknown"]
    assert "not ended: running" in verdict_on(SENT, Record(ID, State.RUNNING)).violations[0]


def test_what_nobody_knows_to_be_accepted_may_be_missing() -> None:
    assert verdict_on(SENT[:1], None).violations == []


def test_what_was_refused_as_known_at_its_first_send_is_a_violation() -> None:
    verdict = verdict_on([*SENT, Sent("known", 0.1, ID, "naps"), *run(1, 1.0, 2.0)], succeeded(1))
    assert verdict.violations == [f"{ID}: the first send was told that the id is there"]


def test_a_rerun_that_nothing_explains_is_a_violation() -> None:
    verdict = verdict_on([*SENT, *run(1, 1.0, 2.0), *run(2, 3.0, 4.0, worker=OTHER)], succeeded(2))
    assert len(verdict.violations) == 1 and "nothing explains a rerun" in verdict.violations[0]


def test_a_rerun_is_explained_by_the_kill_of_its_process_and_by_no_other() -> None:
    lines = [*SENT, *run(1, 1.0), *run(2, 3.0, 4.0, worker=OTHER)]
    assert verdict_on([*lines, Act("kill child", 1.5, 1.5, "", (PID,))], succeeded(2)).violations == []
    # Its template was killed, and what had come already it still began.
    assert verdict_on([*lines, Act("kill child", 0.9, 0.99, "", (PID,))], succeeded(2)).violations == []
    assert verdict_on([*lines, Act("kill child", 1.5, 1.5, "", (99,))], succeeded(2)).violations
    assert verdict_on([*lines, Act("kill child", 3.5, 3.5, "", (PID,))], succeeded(2)).violations
    assert verdict_on([*lines, Act("kill child", -0.5, -0.5, "", (PID,))], succeeded(2)).violations


def test_a_cut_connection_and_a_short_outage_explain_no_rerun() -> None:
    lines = [*SENT, *run(1, 1.0, 1.2), *run(2, 3.0, 4.0, worker=OTHER)]
    assert verdict_on([*lines, Act("cut", 1.1, 1.1)], succeeded(2)).violations
    assert verdict_on([*lines, Act("outage: kill", 1.1, 1.6)], succeeded(2)).violations
    long = [*lines, Act("outage: lock", 1.1, 2.9)]
    assert verdict_on(long, succeeded(2)).violations == []
    assert verdict_on(long, succeeded(2), excuses_outages=False).violations, "a server takes nobody's lease"


def test_a_worker_that_says_that_it_lost_its_lease_explains_its_own_runs_only() -> None:
    lines = [*SENT, *run(1, 1.0, 5.0), *run(2, 4.0, 4.5, worker=OTHER)]
    told = verdict_on(lines, succeeded(2), [Fence(WORKER, 5.5)])
    assert (told.violations, told.overlaps) == ([], 1)
    assert verdict_on(lines, succeeded(2), [Fence(OTHER, 5.5)]).violations


def test_an_ending_written_by_a_run_that_was_fenced_off_is_a_violation() -> None:
    lines = [*SENT, *run(1, 1.0, 5.0), *run(2, 4.0, 4.5, worker=OTHER), Act("stop worker", 1.5, 4.9, WORKER, (PID,))]
    assert verdict_on(lines, succeeded(2)).violations == []
    assert "the value kept is '1-0-0 1'" in verdict_on(lines, succeeded(1)).violations[0]


def test_a_run_that_begins_while_one_that_is_to_be_retried_still_runs_makes_two_live_leases() -> None:
    again = [*run(1, 1.0), Ran("again", 3.0, ID, "tries_again", 1, PID, WORKER)]
    verdict = verdict_on([*SENT, *again, *run(2, 2.0, 4.0, worker=OTHER)], succeeded(2))
    assert "two live leases" in verdict.violations[0]
    assert verdict_on([*SENT, *again, *run(2, 3.1, 4.0, worker=OTHER)], succeeded(2)).violations == []


def test_one_delivery_begun_in_two_processes_is_a_violation() -> None:
    lines = [*SENT, *run(1, 1.0), *run(1, 2.0, 3.0, worker=OTHER), Act("kill child", 1.5, 1.5, "", (PID,))]
    assert "one delivery ran twice" in verdict_on(lines, succeeded(1)).violations[0]


def test_poison_must_end_in_the_dead_letters_with_the_reason() -> None:
    lines = [Sent("accepted", 0.1, ID, "crashes"), *run(1, 1.0, task="crashes"), *run(2, 2.0, task="crashes")]
    dead = Record(ID, State.FAILED, "crashes", failure=LOST, is_dead=True)
    assert verdict_on(lines, dead).violations == []
    assert verdict_on(lines, Record(ID, State.FAILED, "crashes", failure=LOST)).violations
    assert verdict_on(lines, Record(ID, State.SUCCEEDED, "crashes")).violations


def test_an_endless_loop_must_end_by_its_timeout() -> None:
    lines = [Sent("accepted", 0.1, ID, "spins"), *run(1, 1.0, task="spins")]
    assert verdict_on(lines, Record(ID, State.FAILED, "spins", failure=TOO_LONG)).violations == []
    assert verdict_on(lines, Record(ID, State.FAILED, "spins", failure=LOST, is_dead=True)).violations


def test_an_innocent_may_be_condemned_by_several_acts_but_not_by_poison_beside_it() -> None:
    lines = [Sent("accepted", 0.1, ID, "stands_by"), *run(1, 1.0, task="stands_by")]
    dead = Record(ID, State.FAILED, "stands_by", failure=LOST, is_dead=True)
    kills = [Act("kill child", at, at, "", (PID,)) for at in (1.5, 2.5)]
    assert verdict_on([*lines, *kills], dead).condemned == 1
    assert "an innocent ended as failed" in verdict_on([*lines, kills[0]], dead).violations[0]


def test_whatever_is_left_in_the_engine_is_a_violation() -> None:
    verdict = judge(Case([*SENT, *run(1, 1.0, 2.0)], [], 2.0, False), {ID: succeeded(1)}, {"held": 3})
    assert verdict.violations == ["left in the engine: 3 × held"]


def test_a_producer_started_again_would_send_the_very_same_messages() -> None:
    first, second = (list(parcels(7, 2, 500)) for _ in range(2))
    assert first == second
    ids = [item.id for parcel in first for item in parcel.items]
    assert len(set(ids)) == len(ids) == 500


def test_what_a_run_wrote_comes_into_the_table_of_a_later_one(tmp_path: Path) -> None:
    verdict = verdict_on([*SENT, *run(1, 1.0), *run(2, 3.0, 4.0, worker=OTHER), Act("cut", 1.0, 1.1)], succeeded(2))
    outcome = Outcome("redis", Plan(), "not mixed in", 60.0, verdict, 1, 2, 0, "nowhere")
    write(tmp_path / "told.json", [outcome])
    assert report_of(tmp_path / "told.json") == [outcome]
    assert markdown([outcome]).splitlines()[0] == "| | redis |"
    assert "two live leases" in violations(outcome)


def test_the_history_of_several_processes_is_read_back_line_by_line(tmp_path: Path) -> None:
    lines: list[Line] = [SENT[0], Act("cut", 1.0, 2.0, WORKER, (1, 2))]
    History(tmp_path, "sent-1").write(*lines)
    assert list(read(tmp_path)) == lines
    assert list(read(tmp_path, "acts")) == []


def steps(given: str) -> tuple[list[Line], dict[str, Record]]:
    """The history of a step, the one behind it and what that was given."""
    sent = [Sent("accepted", 0.1, "w.0", "naps"), Sent("accepted", 0.1, "w", "hands_on", ("w.0",))]
    rans = [
        Ran(word, at, id, task, 1, PID, WORKER, got)
        for id, task, began, got in (("w.0", "naps", 1.0, ()), ("w", "hands_on", 3.0, (given,)))
        for word, at in (("begun", began), ("ended", began + 1))
    ]
    records = {id: Record(id, State.SUCCEEDED, task, encode(f"{id} 1")) for id, task in (("w.0", ""), ("w", ""))}
    return [*sent, *rans], records


def test_a_step_that_was_given_what_is_kept_of_those_before_it_breaks_nothing() -> None:
    lines, records = steps("w.0 1")
    verdict = judge(Case(lines, (), 2.0, True), records, {})
    assert (verdict.steps, verdict.violations) == (1, [])


def test_a_step_that_was_given_what_another_run_returned_is_a_violation() -> None:
    lines, records = steps("w.0 2")
    [wrong] = judge(Case(lines, (), 2.0, True), records, {}).violations
    assert "was given ('w.0 2',), not ('w.0 1',)" in wrong


def test_producers_compose_workflows_only_where_the_release_can() -> None:
    assert any(parcel.is_workflow for parcel in parcels(1, 0, 400))
    assert not any(parcel.is_workflow for parcel in parcels(1, 0, 400, composes=False))
    assert sum(len(parcel.items) for parcel in parcels(1, 0, 400)) == 400
