"""Tasks that yield: their items are their stream, what they return is their result. The same in all kinds of pool."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from polypool.core.ask import Put, Read, Written
from polypool.core.codec import decode_any
from polypool.core.outcome import Cancelled, Done, Failed, Replaced, Retry
from polypool.pools.child.streaming import WINDOW
from polypool.pools.crew import Crew
from tests.conformance.pool_seen import ASYNC, HERE, KINDS, Bench, Open, Seen, spec, until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.parametrize("kind", KINDS)]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def crew() -> AsyncIterator[Crew]:
    crew = Crew("stream_app:app", HERE)
    await crew.start()
    yield crew
    await crew.stop()


def at_once(ask: Any) -> Any:
    """An engine that takes whatever comes."""
    if isinstance(ask, Written):
        return True
    return [None] * len(ask.ids) if isinstance(ask, Read) else [True] * len(ask.messages)


class Held:
    """An engine that takes nothing until it is told to: every `Written` is kept waiting."""

    def __init__(self, seen: Seen) -> None:
        self.replies: list[Callable[[Any, Exception | None], None]] = []
        self._is_open = False
        seen.asked = self.asked  # type: ignore[method-assign]

    def asked(self, ask: Any, reply: Callable[[Any, Exception | None], None]) -> Callable[[], object]:
        assert isinstance(ask, Written)
        if self._is_open:
            reply(True, None)
        else:
            self.replies.append(reply)
        return lambda: None

    def open(self) -> None:
        self._is_open = True
        for reply in self.replies:
            reply(True, None)


def give(bench: Bench, task: str, *args: Any, **policy: Any) -> str:
    bench.seen.answer = at_once
    return bench.give(f"stream_app.{bench.coloured(task)}", *args, **policy)


async def outcome(bench: Bench, task: str, *args: Any, **policy: Any) -> tuple[Any, list[Any]]:
    """How it ended, and the data of what it emitted."""
    id = give(bench, task, *args, **policy)
    (ended,) = await bench.ended(id)
    return ended, items(bench, id)


def items(bench: Bench, id: str) -> list[Any]:
    return [decode_any(event.data) for event in bench.seen.events.get(id, ()) if event.kind == "emit"]


async def settled(bench: Bench, id: str) -> int:
    """How many events came, once no more come for a while."""
    count, same = -1, 0
    while same < 20:
        now = len(bench.seen.events.get(id, ()))
        same, count = (same + 1 if now == count else 0), now
        await asyncio.sleep(0.02)
    return count


async def test_items_are_emitted_in_order_and_the_run_ends_with_what_it_returns(opened: Open, kind: str) -> None:
    async with opened(spec(kind)) as bench:
        id = give(bench, "counts", 1000)
        (ended,) = await bench.ended(id)
        assert isinstance(ended, Done)
        assert decode_any(ended.value) == (None if kind in ASYNC else "counted 1000")
        assert items(bench, id) == list(range(1000))
        assert [event.number for event in bench.seen.events[id]] == list(range(1, 1001))


async def test_an_async_generator_streams_where_async_tasks_run(opened: Open, kind: str) -> None:
    if kind not in ("solo", "prefork", "asyncio"):
        pytest.skip("async def tasks do not run in this kind of pool")
    async with opened(spec(kind)) as bench:
        bench.seen.answer = at_once
        id = bench.give("stream_app.counts_async", 200)
        (ended,) = await bench.ended(id)
        assert isinstance(ended, Done) and decode_any(ended.value) is None
        assert items(bench, id) == list(range(200))


async def test_items_and_progress_keep_their_order_and_current_is_there(opened: Open, kind: str) -> None:
    async with opened(spec(kind)) as bench:
        id = give(bench, "mixes", "x", attempt=1)
        await bench.ended(id)
        told = [(event.kind, decode_any(event.data)) for event in bench.seen.events[id]]
        assert told == [("emit", {"text": "x"}), ("progress", [1, 2, "half"]), ("emit", {"attempt": 1})]


async def test_a_repeated_run_is_announced_before_anything_is_yielded(opened: Open, kind: str) -> None:
    async with opened(spec(kind)) as bench:
        id = give(bench, "counts", 0, attempt=2, deliveries=2)
        await bench.ended(id)
        assert [(event.kind, decode_any(event.data)) for event in bench.seen.events[id]] == [("started", 3)]


async def test_a_bound_generator_gets_itself(opened: Open, kind: str) -> None:
    async with opened(spec(kind)) as bench:
        _, told = await outcome(bench, "bound", 1)
        assert told == [f"stream_app.{bench.coloured('bound')}"]


async def test_an_error_between_items_fails_or_retries_as_ever(opened: Open, kind: str) -> None:
    async with opened(spec(kind)) as bench:
        failed, told = await outcome(bench, "fails", "fail")
        assert isinstance(failed, Failed) and failed.failure.type == "ValueError" and told == [1]
        again, told = await outcome(bench, "fails", "retry")
        assert isinstance(again, Retry) and told == [1]


async def test_what_cannot_be_encoded_is_raised_at_the_yield(opened: Open, kind: str, tmp_path: Path) -> None:
    async with opened(spec(kind)) as bench:
        failed, told = await outcome(bench, "yields_object", str(tmp_path / "note"))
        assert isinstance(failed, Failed) and told == []
        assert failed.failure.type == "polypool.core.error.NotEncodable"
        assert "in yields_object" in failed.failure.traceback
        assert (tmp_path / "note").read_text() == "closed"


async def test_a_workflow_cannot_be_yielded(opened: Open, kind: str) -> None:
    async with opened(spec(kind)) as bench:
        failed, _ = await outcome(bench, "yields_workflow")
        assert isinstance(failed, Failed) and "can only be returned" in failed.failure.message


async def test_a_workflow_that_a_generator_returns_takes_its_place(opened: Open, kind: str) -> None:
    if kind in ASYNC:
        pytest.skip("an async generator returns nothing")
    async with opened(spec(kind)) as bench:
        ended, told = await outcome(bench, "goes_on", 2)
        assert isinstance(ended, Replaced) and told == [2]
        assert not any(isinstance(ask, Put) for ask in bench.seen.asks)


async def test_a_chunk_streams_the_items_of_all_of_its_runs(opened: Open, kind: str) -> None:
    async with opened(spec(kind)) as bench:
        bench.seen.answer = at_once
        id = bench.give_step(f"stream_app.{bench.coloured('counts')}", None, [[1, 0, 300]], each="item")
        (ended,) = await bench.ended(id)
        assert isinstance(ended, Done)
        assert decode_any(ended.value) == ([None] * 3 if kind in ASYNC else ["counted 1", "counted 0", "counted 300"])
        assert items(bench, id) == [0, *range(300)]


async def test_a_soft_timeout_is_raised_at_the_yield_and_the_rest_still_streams(opened: Open, kind: str) -> None:
    async with opened(spec(kind)) as bench:
        ended, told = await outcome(bench, "ends_softly", soft_timeout=0.5)
        assert (
            isinstance(ended, Done)
            and told[-1] == "cut short"
            and told[:-1] == [str(number) for number in range(len(told) - 1)]
        )


async def test_a_generator_that_waits_is_cancelled_and_closed(opened: Open, kind: str, tmp_path: Path) -> None:
    if kind == "threads":
        pytest.skip("a thread in a system call notices when it returns from there")
    async with opened(spec(kind)) as bench:
        id = give(bench, "slow", str(tmp_path / "note"))
        await until(lambda: items(bench, id))
        bench.pool.cancel(id)
        (ended,) = await bench.ended(id)
        assert isinstance(ended, Cancelled)
        assert (tmp_path / "note").read_text() == "closed"


async def test_a_generator_never_runs_further_ahead_of_the_engine_than_two_windows(
    opened: Open, kind: str, tmp_path: Path
) -> None:
    async with opened(spec(kind)) as bench:
        held = Held(bench.seen)
        id = bench.give(f"stream_app.{bench.coloured('endless')}", str(tmp_path / "note"))
        await until(lambda: len(held.replies) == 2)
        assert await settled(bench, id) == 2 * WINDOW
        held.replies[0](True, None)
        await until(lambda: len(held.replies) == 3)
        assert await settled(bench, id) == 3 * WINDOW
        bench.pool.cancel(id)
        (ended,) = await bench.ended(id)
        assert isinstance(ended, Cancelled)
        assert (tmp_path / "note").read_text() == "closed"


async def test_an_endless_stream_is_cancelled_while_it_flows_and_leaves_room_for_others(
    opened: Open, kind: str, tmp_path: Path
) -> None:
    async with opened(spec(kind)) as bench:
        id = give(bench, "endless", str(tmp_path / "note"))
        await until(lambda: len(bench.seen.events.get(id, ())) > 1000)
        if kind not in ("solo", "prefork"):
            ended, told = await outcome(bench, "counts", 3)
            assert isinstance(ended, Done) and told == [0, 1, 2]
        bench.pool.cancel(id)
        (ended,) = await bench.ended(id)
        assert isinstance(ended, Cancelled)
        assert (tmp_path / "note").read_text() == "closed"
