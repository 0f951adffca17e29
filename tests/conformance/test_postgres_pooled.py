"""PostgreSQL behind a real PgBouncer that gives each transaction another connection. (All suites of the engines' ports
run through it too, as "pgbouncer".)"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator

import pytest

from polypool.brokers.open import migrate_engine, open_engine
from polypool.brokers.postgres.bell import Ring
from polypool.brokers.postgres.engine import PostgresEngine
from polypool.core.decide import decide
from polypool.core.message import Delivery
from polypool.core.outcome import Done, Settlement
from polypool.core.port import Engine
from tests.conformance.scene import LANE, eventually, heartbeat, ids, message
from tests.engines.pgbouncer import pooled
from tests.engines.postgres import drop_schema, empty_schema, execute

OURS = ("application_name", "enable_seqscan", "enable_hashjoin", "enable_mergejoin", "jit", "plan_cache_mode")
MORE = ("default_transaction_isolation", "statement_timeout", "synchronous_commit")
LISTENS = "SELECT count(*) FROM pg_stat_activity WHERE query ILIKE 'listen %' AND query LIKE $1"


@pytest.fixture
def schema(postgres: str) -> Iterator[str]:
    """A schema of the server, by its own URL."""
    made = empty_schema(postgres)
    yield made
    drop_schema(made)


@pytest.fixture
def url(schema: str, pgbouncer: str) -> str:
    """The same by way of the proxy. What looks at once is told; what polls looks often."""
    return f"{pgbouncer}?{schema.partition('?')[2]}&poll=0.05"


@pytest.fixture
async def engine(url: str) -> AsyncIterator[Engine]:
    made = open_engine(f"{url}&pooled=yes")
    await made.broker.open()
    yield made
    await made.broker.close()


def done(delivery: Delivery) -> Settlement:
    return decide(delivery, Done(b"\xc0"), delivery.taken_at, lambda: 0.5)


async def work(engine: Engine, worker: str, count: int) -> list[str]:
    """Take and settle until so many messages have gone through all workers."""
    await engine.broker.beat(heartbeat(worker, lease=600.0))
    ended: list[str] = []
    while len(ended) < count and (taken := await engine.broker.take([LANE], 7, worker, 2)):
        assert all(await engine.broker.settle([done(delivery) for delivery in taken]))
        ended += ids(taken)
    return ended


async def send(engine: Engine, count: int) -> None:
    accepted = await asyncio.gather(*(engine.broker.put([message(str(n))]) for n in range(count)))
    assert all(one == [True] for one in accepted)


async def test_a_proxy_that_nobody_mentioned_is_noticed_said_and_served(
    url: str, schema: str, caplog: pytest.LogCaptureFixture
) -> None:
    engine = open_engine(url)
    with caplog.at_level(logging.WARNING):
        await engine.broker.open()
    assert "polling every 0.05 s instead of listening. Say ?pooled=yes" in caplog.text
    await engine.broker.beat(heartbeat(lease=600.0))
    taking = asyncio.create_task(engine.broker.take([LANE], 5, "w1", 600))
    await engine.broker.put([message("a")])
    assert ids(await asyncio.wait_for(taking, 60)) == ["a"]
    assert execute(schema, LISTENS, f"%{schema.partition('schema=')[2]}%")[0][0] == 0
    await engine.broker.close()


async def test_three_connections_serve_more_workers_and_nothing_runs_twice(url: str) -> None:
    engines = [open_engine(f"{url}&pooled=yes") for _ in range(6)]
    await asyncio.gather(*(engine.broker.open() for engine in engines))
    working = [asyncio.create_task(work(engine, f"w{n}", 600)) for n, engine in enumerate(engines)]
    await send(engines[0], 600)
    ended = [id for found in await asyncio.gather(*working) for id in found]
    assert sorted(ended) == sorted(str(n) for n in range(600))
    await asyncio.gather(*(engine.broker.close() for engine in engines))


async def test_a_proxy_that_swallows_our_settings_is_noticed_by_its_lost_statements(
    postgres: str, schema: str, caplog: pytest.LogCaptureFixture
) -> None:
    """So it is set up where somebody had `unsupported startup parameter` and made it go away."""
    swallowing = f"ignore_startup_parameters = {','.join(OURS + MORE)}"
    with pooled(postgres, swallowing) as proxy, caplog.at_level(logging.WARNING):
        engines = [open_engine(f"{proxy}?{schema.partition('?')[2]}&poll=0.05") for _ in range(6)]
        await asyncio.gather(*(engine.broker.open() for engine in engines))
        working = [asyncio.create_task(work(engine, f"w{n}", 300)) for n, engine in enumerate(engines)]
        await send(engines[0], 300)
        ended = [id for found in await asyncio.gather(*working) for id in found]
        assert sorted(ended) == sorted(str(n) for n in range(300))
        await asyncio.gather(*(engine.broker.close() for engine in engines))
    assert "behind a transaction-pooling proxy" in caplog.text


async def test_what_a_polling_process_writes_wakes_who_can_listen(engine: Engine, schema: str) -> None:
    listening = open_engine(schema)
    assert isinstance(listening, PostgresEngine)
    bell = listening.broker._bell
    await listening.broker.open()
    await listening.broker.beat(heartbeat(lease=600.0))
    taking = asyncio.create_task(listening.broker.take([LANE], 5, "w1", 600))

    async def hears() -> bool:
        return bell.hears(Ring.WORK)

    await eventually(hears, 60)
    await engine.broker.put([message("a")])
    assert ids(await asyncio.wait_for(taking, 60)) == ["a"]
    assert not bell.is_polling
    await listening.broker.close()


async def test_tables_are_made_through_the_proxy_once(url: str) -> None:
    engines = [open_engine(f"{url}&pooled=yes") for _ in range(6)]
    await asyncio.gather(*(engine.broker.open() for engine in engines))
    assert "already up to date" in await migrate_engine(url)
    await asyncio.gather(*(engine.broker.close() for engine in engines))


async def test_how_durable_commits_are_is_the_url_s_to_say_here_too(url: str) -> None:
    engine = open_engine(f"{url}&pooled=yes&synchronous_commit=off")
    assert isinstance(engine, PostgresEngine)
    await engine.broker.open()
    [[setting]] = await engine.broker._session.run(lambda connection: connection.fetch("SHOW synchronous_commit"))
    assert setting == "off"
    await engine.broker.close()
