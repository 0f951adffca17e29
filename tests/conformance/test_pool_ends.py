"""How runs are ended by force, or by accident: timeouts, cancelling, crashes. Who is counted, and who is not."""

import os
import signal
import time
from pathlib import Path

import pytest

from polypool.core.codec import decode_any
from polypool.core.outcome import Cancelled, Deferred, Done, Failed, Lost, TimedOut
from tests.conformance.pool_seen import GREENLETS, KINDS, PATIENCE, Bench, Open, spec, until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.parametrize("kind", KINDS)]

SHARED = ("asyncio", "threads", *GREENLETS)


async def begun(note: Path) -> None:
    await until(note.exists)


async def test_soft_timeout_is_raised_inside_the_task_which_can_clean_up(
    opened: Open, kind: str, tmp_path: Path
) -> None:
    async with opened(spec(kind)) as bench:
        note = tmp_path / "note"
        assert await bench.value(bench.coloured("naps"), 60.0, str(note), soft_timeout=0.2) == "cleaned up"
        assert note.read_text() == "SoftTimeout"


async def test_an_uncaught_soft_timeout_fails_the_task_and_says_how_long_it_had(opened: Open, kind: str) -> None:
    async with opened(spec(kind)) as bench:
        task = "block" if kind == "threads" else bench.coloured("sleep")
        failure = await bench.failure(task, 60.0, soft_timeout=0.2)
        assert failure.type == "polypool.core.error.SoftTimeout"
        assert failure.message == "still running after its soft timeout of 0.2 s"
        assert await bench.value("add", 1, 1) == 2


async def test_hard_timeout_kills_the_child_and_counts_only_the_guilty(opened: Open, kind: str, tmp_path: Path) -> None:
    async with opened(spec(kind, children=2, concurrency=2)) as bench:
        before = set(bench.pool.pids())
        release = tmp_path / "release"
        notes = [tmp_path / f"{number}" for number in range(bench.pool.report().slots - 1)]
        others = [bench.give(bench.coloured("holds"), str(note), str(release)) for note in notes]
        for note in notes:
            await begun(note)
        guilty = bench.give(bench.coloured("stubborn"), 60.0, timeout=0.3)
        (outcome,) = await bench.ended(guilty)
        assert outcome == TimedOut(0.3, outcome.usage)
        release.touch()
        outcomes = await bench.ended(*others)
        # Those in the same child go back uncounted; those in the other one never notice.
        assert sorted(type(o).__name__ for o in outcomes) == sorted(
            ["Done"] if kind in ("prefork", "solo") else ["Deferred", "Done", "Done"]
        )
        assert len(before & set(bench.pool.pids())) == 1
        assert await bench.value("add", 1, 1) == 2
        await until(lambda: len(bench.pool.pids()) == 2)


async def test_the_time_of_a_hard_timeout_begins_with_the_run(opened: Open, kind: str) -> None:
    """A call that stands behind another one in its child has not had its time yet."""
    async with opened(spec(kind, concurrency=1)) as bench:
        first = bench.give("block", 1.5)
        second = bench.give("add", 1, 1, timeout=1.0)
        (outcome,) = await bench.ended(first)
        assert isinstance(outcome, Done)
        (outcome,) = await bench.ended(second)
        # Held back for too long, it was given back uncounted so that another worker could run it.
        assert isinstance(outcome, Done | Deferred)


async def test_cancelling_ends_a_running_call_and_lets_it_clean_up(
    opened: Open, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("polypool.pools.pool.CANCEL_PATIENCE", PATIENCE)
    async with opened(spec(kind)) as bench:
        note = tmp_path / "note"
        pids = bench.pool.pids()
        id = bench.give(bench.coloured("naps"), 600.0, str(note))
        await begun(note)
        bench.pool.cancel(id)
        (outcome,) = await bench.ended(id)
        assert isinstance(outcome, Cancelled)
        assert note.read_text() == "CancelledError"
        assert bench.pool.pids() == pids
        assert await bench.value("add", 1, 1) == 2


async def test_a_call_that_ignores_its_cancelling_is_ended_with_its_child(opened: Open, kind: str) -> None:
    async with opened(spec(kind)) as bench:
        id = bench.give(bench.coloured("stubborn"), 600.0)
        await until(lambda: bench.pool.report().running)
        assert await bench.value("who") if kind in SHARED else True
        bench.pool.cancel(id)
        (outcome,) = await bench.ended(id)
        assert isinstance(outcome, Cancelled)
        assert "killed" in outcome.reason
        assert await bench.value("add", 1, 1) == 2


async def test_a_call_cancelled_before_it_began_never_runs(opened: Open, kind: str, tmp_path: Path) -> None:
    async with opened(spec(kind, concurrency=1)) as bench:
        note = tmp_path / "note"
        release = tmp_path / "release"
        first = bench.give(bench.coloured("holds"), str(note), str(release))
        await begun(note)
        never = tmp_path / "never"
        second = bench.give(bench.coloured("naps"), 0.0, str(never))
        bench.pool.cancel(second)
        (outcome,) = await bench.ended(second)
        assert isinstance(outcome, Cancelled)
        release.touch()
        await bench.ended(first)
        assert await bench.value("add", 1, 1) == 2
        assert not never.exists()


async def test_cancelling_what_has_ended_or_is_unknown_does_nothing(opened: Open, kind: str) -> None:
    async with opened(spec(kind)) as bench:
        id = bench.give("add", 1, 1)
        await bench.ended(id)
        bench.pool.cancel(id)
        bench.pool.cancel("unknown")
        assert await bench.value("add", 2, 2) == 4


@pytest.mark.parametrize(
    ("how", "reason"),
    [("segv", "killed by SIGSEGV"), ("exit", "exited with status 3 (os._exit or sys.exit)")],
)
async def test_a_crash_loses_what_ran_tells_why_and_the_child_is_replaced(
    opened: Open, kind: str, how: str, reason: str
) -> None:
    async with opened(spec(kind)) as bench:
        (pid,) = bench.pool.pids()
        (outcome,) = await bench.ended(bench.give("crash", how))
        assert outcome == Lost(reason)
        assert (await bench.value("who"))[0] != pid


async def test_sigkill_of_a_child_counts_what_had_begun_and_nothing_else(
    opened: Open, kind: str, tmp_path: Path
) -> None:
    async with opened(spec(kind, concurrency=2)) as bench:
        await measured_as_short(bench)
        (pid,) = bench.pool.pids()
        slots = bench.pool.report().slots
        notes = [tmp_path / f"{number}" for number in range(slots)]
        running = [bench.give(bench.coloured("naps"), 600.0, str(note)) for note in notes]
        for note in notes:
            await begun(note)
        behind = [bench.give("nothing") for _ in range(3)]
        os.kill(pid, signal.SIGKILL)
        for outcome in await bench.ended(*running):
            assert outcome == Lost("killed by SIGKILL (the out-of-memory killer, or somebody)")
        for outcome in await bench.ended(*behind):
            # Not begun there: run by the next child, or given back uncounted.
            assert isinstance(outcome, Done | Deferred)


async def test_a_call_with_its_last_chance_runs_alone(opened: Open, kind: str, tmp_path: Path) -> None:
    async with opened(spec(kind)) as bench:
        (pid,) = bench.pool.pids()
        note = tmp_path / "note"
        bystander = bench.give(bench.coloured("naps"), 1.0, str(note)) if kind in SHARED else None
        suspect = bench.give("who", deliveries=3)
        culprit = bench.give("crash", "segv", deliveries=3) if kind in SHARED else None
        (outcome,) = await bench.ended(suspect)
        assert isinstance(outcome, Done)
        if bystander is not None and culprit is not None:
            assert decode_any(outcome.value)[0] != pid
            (lost, done) = await bench.ended(culprit, bystander)
            assert lost == Lost("killed by SIGSEGV")
            assert isinstance(done, Done)
            await until(lambda: bench.pool.pids() == [pid])


async def test_short_calls_given_ahead_do_not_wait_behind_a_long_one(opened: Open, kind: str, tmp_path: Path) -> None:
    """They were sent to a child because their kind is short; when it is kept busy, another one runs them."""
    async with opened(spec(kind, children=2, concurrency=1)) as bench:
        await measured_as_short(bench)
        release = tmp_path / "release"
        long = bench.give("holds", str(tmp_path / "note"), str(release))
        short = [bench.give("nothing") for _ in range(20)]
        outcomes = await bench.ended(*short)
        assert long not in bench.seen.outcomes
        # All by the other child, or given back for other workers to take.
        assert all(isinstance(outcome, Done | Deferred) for outcome in outcomes)
        assert any(isinstance(outcome, Done) for outcome in outcomes)
        release.touch()
        await bench.ended(long)


async def test_a_child_is_replaced_after_so_many_tasks(opened: Open, kind: str) -> None:
    async with opened(spec(kind), max_tasks_per_child=3) as bench:
        pids = []
        for _ in range(7):
            pids.append((await bench.value("who"))[0])
        assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [3, 3, 1]


async def test_a_child_that_grew_too_large_ends_its_calls_and_is_replaced(
    opened: Open, kind: str, tmp_path: Path
) -> None:
    async with opened(spec(kind), max_memory_per_child=150 * 1024 * 1024) as bench:
        (first,) = bench.pool.pids()
        assert await bench.value("grows", 1) == first
        note, release = tmp_path / "note", tmp_path / "release"
        if kind in SHARED:
            running = bench.give(bench.coloured("holds"), str(note), str(release))
            await begun(note)
            bench.give("grows", 200)
        else:
            running = bench.give("grows", 200, str(note), str(release))
        await until(lambda: set(bench.pool.pids()) - {first})
        assert running not in bench.seen.outcomes
        release.touch()
        (outcome,) = await bench.ended(running)
        assert isinstance(outcome, Done)
        await until(lambda: first not in bench.pool.pids())
        assert (await bench.value("who"))[0] != first


async def test_stop_lets_running_calls_end_and_gives_the_rest_back(opened: Open, kind: str, tmp_path: Path) -> None:
    async with opened(spec(kind, concurrency=2)) as bench:
        slots = bench.pool.report().slots
        notes = [tmp_path / f"{number}" for number in range(slots)]
        short = [bench.give(bench.coloured("naps"), 0.5, str(note)) for note in notes]
        for note in notes:
            await begun(note)
        waiting = [bench.give("nothing") for _ in range(3)]
        await bench.pool.stop(PATIENCE)
        assert all(isinstance(bench.seen.outcomes[id], Done) for id in short)
        assert all(bench.seen.outcomes[id] == Deferred() for id in waiting)
        assert bench.pool.pids() == []
        late = bench.give("nothing")
        assert bench.seen.outcomes[late] == Deferred()


async def test_stop_gives_back_uncounted_what_outlasts_the_grace(opened: Open, kind: str, tmp_path: Path) -> None:
    async with opened(spec(kind)) as bench:
        note = tmp_path / "note"
        id = bench.give(bench.coloured("naps"), 60.0, str(note))
        await begun(note)
        (pid,) = bench.pool.pids()
        await bench.pool.stop(0.2)
        assert bench.seen.outcomes[id] == Deferred()
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_interrupts_from_the_terminal_are_left_to_the_supervisor(opened: Open, kind: str) -> None:
    """Ctrl-C reaches every process of the terminal; what a task is doing goes on."""
    async with opened(spec(kind)) as bench:
        (pid,) = bench.pool.pids()
        id = bench.give(bench.coloured("sleep"), 0.5)
        await until(lambda: bench.pool.report().running)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(pid, number)
        (outcome,) = await bench.ended(id)
        assert isinstance(outcome, Done)
        assert bench.pool.pids() == [pid]


async def test_an_error_raised_by_chance_while_cancelled_is_still_that_error(opened: Open, kind: str) -> None:
    async with opened(spec(kind)) as bench:
        id = bench.give("fail", "first")
        bench.pool.cancel(id)
        (outcome,) = await bench.ended(id)
        assert isinstance(outcome, Failed | Cancelled)


async def measured_as_short(bench: Bench) -> None:
    """Run enough of `nothing` that the pool gives it ahead; a busy machine may make some of it look long."""
    ends = time.monotonic() + PATIENCE
    while bench.pool.free() <= bench.pool.report().slots:
        assert time.monotonic() < ends
        await bench.ended(*[bench.give("nothing") for _ in range(10)])
