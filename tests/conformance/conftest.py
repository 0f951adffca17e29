"""Fixtures: each suite of an engine's port runs against every engine, each suite of a pool against every kind.

Pools are made of real processes: one crew serves a whole module, each test has a pool of its own.
"""

import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from polypool.core.port import Backend, Claims
from polypool.core.settings import PoolSpec
from polypool.pools.crew import Crew
from polypool.pools.pool import Limits
from tests.conformance.pool_seen import HERE, Bench, Open, Seen, until
from tests.conformance.scene import Clock, Scene
from tests.engines import rabbitmq, redis
from tests.engines.pgbouncer import pooled
from tests.engines.postgres import drop_schema, empty_schema, server_url

ENGINES = ["memory", "sqlite", "redis", "postgres", "pgbouncer", "rabbitmq"]
"""pgbouncer is PostgreSQL behind a proxy that gives each transaction another connection, rabbitmq has the memory engine
for its backend."""
CARRIERS = ("rabbitmq", "classic")
MORE = ["rabbitmq+redis", "classic"]
"""RabbitMQ before a real backend, and with its queues of the other type: the suites that tell them apart."""
SUITES_FOR_MORE = ("test_broker", "test_broker_leases", "test_joins", "test_results")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(*traits): runs only against engines that have these traits")


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
            await until(lambda: pool.free() == spec.slots)
            yield Bench(pool, seen)
        finally:
            await pool.stop(0)

    return open_pool


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL server."""
    with server_url() as url:
        yield url


@pytest.fixture(scope="session")
def pgbouncer(postgres: str) -> Iterator[str]:
    """The same server by way of a transaction-pooling proxy."""
    with pooled(postgres) as url:
        yield url


@pytest.fixture
def clock() -> Clock:
    return Clock()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "scene" in metafunc.fixturenames:
        module = metafunc.module.__name__.rpartition(".")[2]
        metafunc.parametrize("scene", ENGINES + (MORE if module in SUITES_FOR_MORE else []), indirect=True)


@pytest.fixture
async def scene(
    request: pytest.FixtureRequest, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Scene]:
    """An open engine with nothing in it, on a clock that stands."""
    for port in ("results", "bus"):  # or the look by the clock would hide that a waiter was not told
        monkeypatch.setattr(f"polypool.brokers.postgres.{port}.LOOK_ANYWAY", 3600.0)
    urls = {
        "memory": lambda: "memory://",
        "sqlite": lambda: f"sqlite:///{tmp_path}/tasks.db",
        "redis": redis.fresh_url,
        "postgres": lambda: empty_schema(request.getfixturevalue("postgres")),
        "rabbitmq": rabbitmq.fresh_url,
        "classic": lambda: f"{rabbitmq.fresh_url()}&queue_type=classic",
        "pgbouncer": lambda: f"{empty_schema(request.getfixturevalue('pgbouncer'))}&pooled=yes&poll=0.02",
    }
    kind, _, behind = request.param.partition("+")
    backend = urls[behind or "memory"]() if kind in CARRIERS else None
    made = Scene(urls[kind](), clock, backend)
    traits = made.engine.broker.traits
    for marker in request.node.iter_markers("needs"):
        if missing := [trait for trait in marker.args if not getattr(traits, trait)]:
            pytest.skip(f"{request.param} has no {', '.join(missing)}, and says so")
    await made.engine.broker.open()
    yield made
    await made.engine.broker.close()
    if kind in CARRIERS:
        await rabbitmq.clean(made.url)
    if "redis" in (kind, behind):
        redis.clean(made.backend or made.url)
    if request.param in ("postgres", "pgbouncer"):
        drop_schema(made.url)


@pytest.fixture
def claims(scene: Scene) -> Claims:
    if scene.engine.broker.traits.needs_backend:
        pytest.skip("only carries messages, and says so")
    return scene.claims


@pytest.fixture
async def other(scene: Scene, claims: Claims) -> AsyncIterator[Backend]:
    """The same store in another process."""
    engine = await scene.another()
    yield engine  # type: ignore[misc]
    if engine is not scene.engine:
        await engine.broker.close()
