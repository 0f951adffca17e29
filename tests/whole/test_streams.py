"""Streams of tasks that yield, through real engines and workers that are killed in the middle."""

import asyncio
import os
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil
import pytest

from polypool import AsyncResult
from polypool.results.watching import Emitted, Ended, Started
from tests.whole.workers import PATIENCE, worker

LEASE = ("--heartbeat", "4")
COUNT = 40
WATCHERS = 200
ENGINES = ["sqlite", "redis", "postgres", "rabbitmq"]


async def watched(result: AsyncResult[Any], seen: list[Any], after: str | None = None) -> None:
    async for event in result.aevents(after=after):
        seen.append(event)


def connections() -> int:
    return sum(one.status == psutil.CONN_ESTABLISHED for one in psutil.Process(os.getpid()).net_connections("inet"))


@pytest.mark.parametrize("engine", ENGINES, indirect=True)
@pytest.mark.parametrize("task", ["tells", "narrates"])
def test_watchers_see_the_new_attempt_and_the_end_when_a_worker_is_killed_in_the_middle(
    marks: ModuleType, tmp_path: Path, task: str
) -> None:
    async def all_of_it() -> tuple[list[list[Any]], list[Any], int]:
        result = await getattr(marks, task).adelay(COUNT)
        seen: list[list[Any]] = [[] for _ in range(WATCHERS)]
        with worker(tmp_path, "marks:app", *LEASE) as first:
            before = connections()
            async with asyncio.TaskGroup() as watching:
                for one in seen:
                    watching.create_task(watched(result, one))
                async with asyncio.timeout(PATIENCE):
                    while min(map(len, seen)) < COUNT // 2:
                        await asyncio.sleep(0.02)
                more = connections() - before
                cursor = seen[0][4].id
                await asyncio.to_thread(first.kill)
                second = worker(tmp_path, "marks:app")
                await asyncio.to_thread(second.__enter__)
                try:
                    value = await result.aget(timeout=PATIENCE)
                    assert value == (None if task == "tells" else "told")
                    resumed: list[Any] = []
                    await asyncio.wait_for(watched(result, resumed, cursor), PATIENCE)
                finally:
                    await asyncio.to_thread(second.__exit__, None, None, None)
        assert resumed == seen[0][5:]
        return seen, resumed, more

    seen, _, more = asyncio.run(all_of_it())
    for one in seen:
        *told, end = one
        assert isinstance(end, Ended) and end.state == "succeeded"
        began = next(index for index, event in enumerate(told) if isinstance(event, Started))
        assert told[began].attempt == 2
        assert [event.data for event in told[:began]] == list(range(COUNT // 2))
        assert [event.data for event in told[began + 1 :] if isinstance(event, Emitted)] == list(range(COUNT))
        assert len({event.id for event in told}) == len(told)
    assert more <= 2, f"{WATCHERS} watchers opened {more} connections"


def test_a_stream_that_runs_far_ahead_of_a_slow_watcher_is_not_held_up_and_ends(
    marks: ModuleType, tmp_path: Path
) -> None:
    with worker(tmp_path, "marks:app"):
        result = marks.pours.delay(5000)
        assert result.get(timeout=PATIENCE) == 5000
    kept = [event.data for event in result.events() if isinstance(event, Emitted)]
    assert 1000 <= len(kept) <= 1100 and kept == list(range(5000 - len(kept), 5000))
