"""What the PostgreSQL engine promises beyond its ports: several processes, broken connections, clear words."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from polypool.brokers.open import open_engine
from polypool.core.error import EngineUnreachable
from polypool.core.message import Policy
from polypool.core.outcome import Done
from polypool.core.port import Engine
from tests.conformance.scene import LANE, PATIENCE, Clock, Scene, eventually, heartbeat, ids, message
from tests.engines.postgres import Server, drop_schema, empty_schema, execute, private_server

LISTENERS = """SELECT pid FROM pg_stat_activity
               WHERE application_name = 'polypool' AND pid <> pg_backend_pid() AND query ~ $1"""


@pytest.fixture
def url(postgres: str) -> Iterator[str]:
    """A schema of its own."""
    made = empty_schema(postgres)
    yield made
    drop_schema(made)


@pytest.fixture
async def engine(url: str) -> AsyncIterator[Engine]:
    made = open_engine(url)
    await made.broker.open()
    yield made
    await made.broker.close()


@pytest.fixture(scope="module")
def own_server() -> Iterator[Server]:
    """A server to stop and start."""
    with private_server() as server:
        yield server


def schema_of(url: str) -> str:
    return url.partition("schema=")[2].partition("&")[0]


def listeners(url: str) -> list[Any]:
    return execute(url, LISTENERS, f'LISTEN "?{schema_of(url)}:')


async def test_two_engines_that_take_at_once_never_get_the_same(url: str, engine: Engine) -> None:
    other = open_engine(url)
    await other.broker.open()
    await engine.broker.put([message(str(n)) for n in range(3000)])
    await engine.broker.beat(heartbeat("w1"))
    await other.broker.beat(heartbeat("w2"))

    async def drain(one: Engine, worker: str) -> list[str]:
        taken: list[str] = []
        while batch := await one.broker.take([LANE], 17, worker, 0):
            taken += ids(batch)
        return taken

    first, second = await asyncio.gather(drain(engine, "w1"), drain(other, "w2"))
    assert first and second
    assert sorted(first + second) == sorted(str(n) for n in range(3000))
    await other.broker.close()


async def test_a_waiting_take_is_woken_at_once_by_another_process(url: str, engine: Engine) -> None:
    other = open_engine(url)
    await other.broker.open()
    await engine.broker.beat(heartbeat(lease=60.0))
    taking = asyncio.create_task(engine.broker.take([LANE], 5, "w1", 600))

    async def is_listening() -> bool:
        return bool(listeners(url))

    await eventually(is_listening)
    await other.broker.put([message("a")])
    assert ids(await asyncio.wait_for(taking, PATIENCE)) == ["a"]
    await other.broker.close()


async def test_nothing_is_missed_when_the_listening_connection_is_killed(url: str, engine: Engine) -> None:
    other = open_engine(url)
    await other.broker.open()
    await engine.broker.beat(heartbeat(lease=60.0))
    for turn in range(3):
        taking = asyncio.create_task(engine.broker.take([LANE], 5, "w1", 600))

        async def is_listening() -> bool:
            return bool(listeners(url))

        await eventually(is_listening)
        [(pid,)] = listeners(url)
        execute(url, "SELECT pg_terminate_backend($1)", pid)
        await other.broker.put([message(f"a{turn}")])
        assert ids(await asyncio.wait_for(taking, PATIENCE)) == [f"a{turn}"]
    await other.broker.close()


async def test_a_killed_working_connection_is_replaced(url: str, engine: Engine) -> None:
    await engine.broker.put([message("a")])
    execute(
        url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'polypool' AND query ~ $1",
        schema_of(url),
    )

    async def is_accepted() -> bool:
        try:
            return not (await engine.broker.put([message("a"), message("b")]))[0]
        except EngineUnreachable:
            return False

    await eventually(is_accepted)
    assert [record and record.state for record in await engine.results.read(["a", "b"])] == ["queued", "queued"]


async def test_a_restarted_server_has_lost_nothing_that_it_accepted(own_server: Server) -> None:
    engine = open_engine(empty_schema(own_server.url))
    await engine.broker.open()
    await engine.broker.beat(heartbeat(lease=600.0))
    await engine.broker.put([message(str(n)) for n in range(100)])
    held = await engine.broker.take([LANE], 50, "w1", 0)
    taking = asyncio.create_task(engine.broker.beat(heartbeat(lease=600.0), 600))
    own_server.stop()
    with pytest.raises(EngineUnreachable, match=r"cannot be reached|connection"):
        await engine.broker.settle([settlement(delivery) for delivery in held])
    own_server.start()
    assert all(await engine.broker.settle([settlement(delivery) for delivery in held]))
    assert len(await engine.broker.take([LANE], 100, "w1", 0)) == 50
    taking.cancel()
    await asyncio.gather(taking, return_exceptions=True)
    await engine.broker.close()


async def test_polling_serves_where_nobody_can_listen(url: str) -> None:
    engine, other = open_engine(f"{url}&pooled=yes&poll=0.05"), open_engine(f"{url}&pooled=yes&poll=0.05")
    await engine.broker.open()
    await other.broker.open()
    await engine.broker.beat(heartbeat(lease=60.0))
    taking = asyncio.create_task(engine.broker.take([LANE], 5, "w1", 600))
    await asyncio.sleep(0)
    await other.broker.put([message("a")])
    [delivery] = await asyncio.wait_for(taking, PATIENCE)
    waiting = asyncio.create_task(other.results.wait(["a"], 600))
    await asyncio.sleep(0)
    assert await engine.broker.settle([settlement(delivery)]) == [True]
    assert ids(await asyncio.wait_for(waiting, PATIENCE)) == ["a"]
    assert listeners(url) == []
    await engine.broker.close()
    await other.broker.close()


async def test_deafness_is_noticed_and_said(
    url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind a proxy that swallows LISTEN it succeeds and nothing is ever heard."""
    monkeypatch.setattr("polypool.brokers.postgres.bell.ECHO_WITHIN", 0.05)
    monkeypatch.setattr("polypool.brokers.postgres.bell.Bell._heard", lambda *_: None)
    engine = open_engine(f"{url}&poll=0.05")
    await engine.broker.open()
    await engine.broker.beat(heartbeat(lease=60.0))
    with caplog.at_level(logging.WARNING):
        taking = asyncio.create_task(engine.broker.take([LANE], 5, "w1", 600))

        async def has_said() -> bool:
            return "polling every 0.05 s instead" in caplog.text

        await eventually(has_said)
        await engine.broker.put([message("a")])
        assert ids(await asyncio.wait_for(taking, PATIENCE)) == ["a"]
    await engine.broker.close()


async def test_a_name_that_text_cannot_hold_is_refused_and_harms_no_other(engine: Engine) -> None:
    from polypool.core.error import SendError

    with pytest.raises(SendError, match="NUL"):
        await engine.broker.put([message("a\0b")])
    assert await engine.broker.put([message("ab")]) == [True]


async def test_what_is_over_leaves_no_row_behind(postgres: str, clock: Clock) -> None:
    url = empty_schema(postgres)
    scene = Scene(url, clock)
    await scene.engine.broker.open()
    await scene.join(lease=1000.0)
    await scene.put(*(str(n) for n in range(1500)), policy=Policy(result_ttl=5.0))
    for _ in range(15):
        taken = await scene.take(100)
        assert all(await scene.engine.broker.settle([scene.settlement(one, Done(b"\x01")) for one in taken]))
    clock.move(6)
    await scene.join(lease=1000.0)

    async def is_empty() -> bool:
        return not any(execute(url, f"SELECT FROM {table} LIMIT 1") for table in ("task", "live", "ending"))

    await eventually(is_empty)
    await scene.engine.broker.close()
    drop_schema(url)


async def test_a_batch_of_single_sends_shares_its_statements(url: str, engine: Engine) -> None:
    accepted = await asyncio.gather(*(engine.broker.put([message(str(n))]) for n in range(500)))
    assert all(one == [True] for one in accepted)
    xids = execute(url, "SELECT count(DISTINCT xmin::text) FROM task")[0][0]
    assert xids < 50, "what piled up was written together"


def settlement(delivery: Any) -> Any:
    from polypool.core.decide import decide

    return decide(delivery, Done(b"\xc0"), time.time(), lambda: 0.5)


async def test_the_traces_of_what_was_taken_are_cleared_by_who_took_it(
    url: str, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("polypool.brokers.postgres.broker.VACUUMED_AFTER", 50)
    await engine.broker.put([message(str(n)) for n in range(60)])
    await engine.broker.beat(heartbeat())
    await engine.broker.take([LANE], 60, "w1", 0)

    async def is_vacuumed() -> bool:
        return bool(
            execute(url, "SELECT vacuum_count > 0 FROM pg_stat_user_tables WHERE relid = 'live'::regclass")[0][0]
        )

    await eventually(is_vacuumed)
