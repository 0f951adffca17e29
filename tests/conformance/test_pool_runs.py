"""What a run gives back: values, failures, retries, events, answers. The same in all six kinds of pool."""

import os
import signal
from pathlib import Path

import pytest

from polypool.core.codec import decode_any
from polypool.core.error import EngineFull
from polypool.core.outcome import Dead, Deferred, Done, Retry
from polypool.pools.crew import Crew
from tests.conformance.pool_seen import GREENLETS, HERE, KINDS, PATIENCE, Bench, Open, Seen, spec, until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.parametrize("kind", KINDS)]


async def test_a_call_runs_and_its_value_comes_back_measured(opened: Open, kind: str) -> None:
    async with opened(spec(kind)) as bench:
        (outcome,) = await bench.ended(bench.give("add", 1, 2))
        assert isinstance(outcome, Done)
        assert decode_any(outcome.value) == 3
        assert outcome.usage is not None
        assert outcome.usage.cpu is not None
        assert outcome.usage.cpu >= 0
        assert outcome.usage.wall > 0


async def test_the_cpu_of_a_run_is_its_own_not_its_neighbours(opened: Open, kind: str) -> None:
    async with opened(spec(kind, children=2 if kind in ("prefork", "solo") else 1)) as bench:
        waits, works = bench.give(bench.coloured("sleep"), 0.3), bench.give("burns", 0.2)
        waited, worked = await bench.ended(waits, works)
        assert waited.usage.cpu < worked.usage.cpu / 2
        assert waited.usage.wall > 0.25
        assert 0.19 < worked.usage.cpu < 0.39, "its own, and once"


async def test_an_async_function_runs_where_a_loop_is_and_is_refused_where_none_is(opened: Open, kind: str) -> None:
    async with opened(spec(kind)) as bench:
        if kind in ("asyncio", "prefork", "solo"):
            assert await bench.value("add_async", 1, 2) == 3
        else:
            failure = await bench.failure("add_async", 1, 2)
            assert failure.type == "polypool.core.error.ConfigurationError"
            assert "add_async is `async def`" in failure.message


async def test_a_thousand_calls_in_any_order_end_once_each(opened: Open, kind: str) -> None:
    async with opened(spec(kind, children=2)) as bench:
        values: dict[int, int] = {}
        while left := [number for number in range(1000) if number not in values]:
            ids = [bench.give("add", number, 1) for number in left]
            for number, outcome in zip(left, await bench.ended(*ids), strict=True):
                if outcome != Deferred():  # what waits while the machine is busy is given back, for other workers
                    values[number] = decode_any(outcome.value)
        assert [values[number] for number in range(1000)] == [number + 1 for number in range(1000)]


async def test_as_many_calls_run_at_once_as_there_are_slots_and_no_more(
    opened: Open, kind: str, tmp_path: Path
) -> None:
    async with opened(spec(kind, concurrency=3)) as bench:
        slots, release = bench.pool.report().slots, tmp_path / "release"
        notes = [tmp_path / f"{number}" for number in range(slots)]
        ids = [bench.give(bench.coloured("holds"), str(note), str(release)) for note in notes]
        ids += [bench.give(bench.coloured("sleep"), 0.05) for _ in range(2 * slots)]
        await until(lambda: all(note.exists() for note in notes))
        release.touch()
        outcomes = await bench.ended(*ids)
        # On a busy machine those that waited for long are given back: another worker may have a free slot.
        runs = [outcome.usage for outcome in outcomes if isinstance(outcome, Done) and outcome.usage]
        spans = [(usage.started_at, usage.started_at + usage.wall) for usage in runs]
        most = max(sum(begun <= at < ended for begun, ended in spans) for at, _ in spans)
        assert most == slots


async def test_a_failure_tells_type_text_and_the_users_own_frames_only(opened: Open, kind: str) -> None:
    async with opened(spec(kind)) as bench:
        failure = await bench.failure("fail", "no such photo")
        assert (failure.type, failure.message) == ("ValueError", "no such photo")
        assert failure.traceback.startswith("Traceback")
        assert "crew_app.py" in failure.traceback
        assert "polypool/pools" not in failure.traceback


async def test_sys_exit_inside_a_task_fails_the_task_and_spares_its_child(opened: Open, kind: str) -> None:
    async with opened(spec(kind)) as bench:
        pids = bench.pool.pids()
        failure = await bench.failure("crash", "politely")
        assert failure.type == "SystemExit"
        assert await bench.value("add", 1, 1) == 2
        assert bench.pool.pids() == pids


async def test_a_task_that_asks_to_run_again_ends_as_retry(opened: Open, kind: str) -> None:
    async with opened(spec(kind)) as bench:
        (outcome,) = await bench.ended(bench.give("retry", 5.0))
        assert isinstance(outcome, Retry)
        assert outcome.countdown == 5.0
        assert outcome.failure is not None
        assert outcome.failure.type == "KeyError"


async def test_only_errors_in_autoretry_for_end_as_retry(opened: Open, kind: str) -> None:
    async with opened(spec(kind)) as bench:
        (again,) = await bench.ended(bench.give("flaky", "os"))
        assert isinstance(again, Retry)
        assert again.countdown is None
        assert (await bench.failure("flaky", "value")).type == "ValueError"


@pytest.mark.parametrize("what", ["object", "big", "surrogate"])
async def test_a_result_without_messagepack_form_fails_in_clear_words(opened: Open, kind: str, what: str) -> None:
    async with opened(spec(kind)) as bench:
        failure = await bench.failure("returns", what)
        assert failure.type == "polypool.core.error.NotEncodable"
        assert "returns returned a value with no MessagePack form" in failure.message


async def test_a_task_this_code_does_not_have_is_dead(opened: Open, kind: str) -> None:
    async with opened(spec(kind)) as bench:
        (outcome,) = await bench.ended(bench.give("unheard_of"))
        assert isinstance(outcome, Dead)
        assert "unheard_of" in outcome.reason


async def test_events_arrive_in_order_and_before_the_end(opened: Open, kind: str) -> None:
    async with opened(spec(kind)) as bench:
        id = bench.give("story", 50)
        await bench.ended(id)
        events = bench.seen.events[id]
        assert [event.number for event in events] == list(range(1, 52))
        assert [decode_any(event.data) for event in events[:50]] == [{"token": n} for n in range(50)]
        assert (events[-1].kind, decode_any(events[-1].data)) == ("progress", [50, 50, "told"])


async def test_a_repeated_run_announces_its_attempt_before_its_first_event(opened: Open, kind: str) -> None:
    async with opened(spec(kind)) as bench:
        id = bench.give("story", 1, attempt=2, deliveries=2)
        await bench.ended(id)
        first, *others = bench.seen.events[id]
        assert (first.kind, decode_any(first.data), first.number) == ("started", 3, 1)
        assert [event.kind for event in others] == ["emit", "progress"]


async def test_emitting_what_cannot_be_encoded_fails_where_it_is_emitted(opened: Open, kind: str) -> None:
    async with opened(spec(kind)) as bench:
        failure = await bench.failure("emits", "object")
        assert failure.type == "polypool.core.error.NotEncodable"
        assert "in emits" in failure.traceback


async def test_what_a_task_sends_goes_up_and_the_answer_comes_back(opened: Open, kind: str) -> None:
    async with opened(spec(kind)) as bench:
        assert await bench.value("send", 3) == [True] * 3
        if kind == "asyncio":
            assert await bench.value("send_async", 3) == [True] * 3
        assert [message.id for message in bench.seen.asks[0].messages] == ["sub-0", "sub-1", "sub-2"]


async def test_an_engine_error_is_raised_where_the_task_waits_for_the_answer(opened: Open, kind: str) -> None:
    async with opened(spec(kind)) as bench:

        def full(ask: object) -> None:
            raise EngineFull("no room left")

        bench.seen.answer = full
        failure = await bench.failure("send", 1)
        assert (failure.type, failure.message) == ("polypool.core.error.EngineFull", "no room left")


async def test_lifespan_state_and_middleware_are_around_every_run(opened: Open, kind: str) -> None:
    async with opened(spec(kind)) as bench:
        await bench.failure("fail", "inside")
        is_own, runs = await bench.value("state")
        assert is_own
        assert runs == ["enter fail", "ValueError", "leave", "enter state"]


async def test_each_call_has_a_context_of_its_own(opened: Open, kind: str) -> None:
    async with opened(spec(kind, concurrency=1)) as bench:
        assert await bench.value("marks", "dirty") == "clean"
        assert await bench.value("marks", "dirty") == "clean"


async def test_asyncio_inside_a_plain_task_works_on_threads_and_is_refused_among_greenlets(
    opened: Open, kind: str
) -> None:
    async with opened(spec(kind)) as bench:
        if kind in ("threads", "solo", "prefork"):
            assert await bench.value("runs_asyncio") == 3
        else:
            failure = await bench.failure("runs_asyncio")
            if kind in GREENLETS:
                assert failure.type == "polypool.core.error.AsyncioInGreenlet"
                assert 'pool="asyncio"' in failure.message
            else:
                assert "running event loop" in failure.message


async def test_output_and_log_records_with_the_tasks_id_reach_the_workers_terminal(
    kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    crew = Crew("crew_app:app", HERE)
    await crew.start()
    seen = Seen()
    bench = Bench(crew.pool(spec(kind), seen), seen)
    await bench.pool.ready(PATIENCE)
    id = bench.give("says", "hello")
    await bench.ended(id)
    # The child lives on: a line is out when it is printed, also into a pipe or a file.
    out, err = capfd.readouterr()
    await bench.pool.stop(0)
    await crew.stop()
    assert "hello\n" in out
    assert "sub hello\n" in out
    assert f"[says {id}] logged hello" in err


async def test_a_blocked_loop_is_reported_with_task_stack_and_seconds_while_it_is_blocked(
    opened: Open, kind: str, tmp_path: Path
) -> None:
    async with opened(spec(kind), blocked_after=0.3) as bench:
        if kind == "asyncio" or kind in GREENLETS:
            release = tmp_path / "release"
            id = bench.give("computes", str(release))
            await until(lambda: bench.seen.blocks)
            assert id not in bench.seen.outcomes
            task, blocked_id, seconds, stack = bench.seen.blocks[0]
            assert (task, blocked_id) == ("computes", id)
            assert seconds >= 0.3
            assert "in computes\n" in stack
            assert "polypool/pools" not in stack
            release.touch()
            await bench.ended(id)
        else:
            await bench.ended(bench.give("block", 1.2))
            assert bench.seen.blocks == []


async def test_a_child_that_was_stopped_for_a_while_shows_where_its_loop_is_and_no_other_thread(
    opened: Open, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the signal that asks for the stack was taken by whichever thread woke first."""
    if kind not in ("asyncio", *GREENLETS):
        pytest.skip("no loop to block")
    monkeypatch.setattr("polypool.pools.pulse.AGAIN_AFTER", 0.1)
    async with opened(spec(kind), blocked_after=0.3) as bench:
        (pid,) = bench.pool.pids()
        release = tmp_path / "release"
        id = bench.give("computes", str(release))
        await until((tmp_path / "release.begun").exists)
        (member,), asked = bench.pool._staff.members, bench.pool._pulse._asked
        for _ in range(3):
            os.kill(pid, signal.SIGSTOP)
            await until(lambda: member in asked)
            os.kill(pid, signal.SIGCONT)
            await until(lambda: member.stack.endswith("\n"))
            assert "in computes\n" in member.stack
            await until(lambda: member not in asked)
        release.touch()
        await bench.ended(id)


async def test_a_loop_blocked_by_c_code_that_keeps_the_interpreter_lock_is_reported_too(
    opened: Open, kind: str
) -> None:
    if kind not in ("asyncio", *GREENLETS):
        pytest.skip("no loop to block; the lock only delays its neighbours, or it has none")
    async with opened(spec(kind), blocked_after=0.5) as bench:
        id = bench.give("hogs", 10**9)
        await until(lambda: bench.seen.blocks)
        assert id not in bench.seen.outcomes
        task, blocked_id, seconds, stack = bench.seen.blocks[0]
        assert (task, blocked_id) == ("hogs", id)
        assert seconds >= 0.5
        assert "in hogs" in stack
