"""Pools are made of real processes: one crew serves a whole module, each test has a pool of its own."""

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from polypool.core.settings import PoolSpec
from polypool.pools.crew import Crew
from polypool.pools.pool import Limits
from tests.conformance.pool_seen import Bench, Seen

HERE = str(Path(__file__).parent)

Open = Callable[..., Any]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def crew() -> AsyncIterator[Crew]:
    made = Crew("crew_app:app", HERE)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
def opened(crew: Crew) -> Open:
    """A pool as an async context manager: `async with opened(spec(kind), max_tasks_per_child=1) as bench`."""

    @contextlib.asynccontextmanager
    async def open_pool(spec: PoolSpec, **limits: Any) -> AsyncIterator[Bench]:
        seen = Seen()
        pool = crew.pool(spec, seen, Limits(**limits))
        try:
            await pool.ready(20)
            yield Bench(pool, seen)
        finally:
            await pool.stop(0)

    return open_pool
