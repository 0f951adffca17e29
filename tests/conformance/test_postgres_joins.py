"""Steps that wait for steps, on PostgreSQL: what a join costs the server, what it leaves there, and a restart."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest

from polypool.brokers.postgres.bell import Ring
from polypool.brokers.postgres.engine import PostgresEngine
from polypool.brokers.postgres.session import Connection
from polypool.core.error import EngineUnreachable
from polypool.core.join import OPEN, Flow, Next
from polypool.core.message import Policy
from polypool.core.outcome import Outcome, Replaced
from polypool.core.report import Search
from tests.conformance.joins_seen import BOOM, DONE, cut, ended, opened, pair, take
from tests.conformance.scene import LANE, PATIENCE, eventually, ids, message
from tests.engines.postgres import drop_schema, empty_schema, execute, private_server


@pytest.fixture
def url(postgres: str) -> Iterator[str]:
    made = empty_schema(postgres)
    yield made
    drop_schema(made)


@pytest.fixture
async def engine(url: str) -> AsyncIterator[PostgresEngine]:
    made = await opened(url, "w1")
    yield made
    await made.broker.close()


@pytest.fixture
async def other(url: str) -> AsyncIterator[PostgresEngine]:
    made = await opened(url, "w2")
    yield made
    await made.broker.close()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
async def test_a_join_that_is_half_marked_when_the_server_stops_goes_on(how: signal.Signals) -> None:
    with private_server() as server:
        engine = await opened(empty_schema(server.url), "w1")
        m, n = await pair(engine, 3, "first")
        assert await engine.broker.settle([ended(m)]) == [True]
        server.stop(how)
        server.start()

        async def is_settled() -> bool:
            try:
                return (await engine.broker.settle([ended(n)])) == [True]
            except EngineUnreachable:
                return False

        await eventually(is_settled)
        assert ids(await take(engine)) == ["body"]
        await engine.broker.close()


async def test_marks_take_a_bit_each_and_go_with_their_step(url: str, engine: PostgresEngine) -> None:
    count = 3000
    await engine.broker.put([message("body", flow=Flow(count), policy=Policy(result_ttl=0.0))])
    await engine.broker.put([message(f"m{at}", flow=Flow(then=(Next("body", at),))) for at in range(count)])
    for batch in cut(await take(engine), 500):
        assert all(await engine.broker.settle([ended(delivery) for delivery in batch]))
    assert execute(url, "SELECT count(*) FROM mark")[0][0] == 3
    [body] = await take(engine)
    assert await engine.broker.settle([ended(body)]) == [True]
    assert execute(url, "SELECT count(*) FROM mark")[0][0] == 0


@pytest.mark.parametrize("ways", ["cancel", "purge", "drop", "over", "again"])
async def test_no_mark_outlives_what_it_was_for(url: str, engine: PostgresEngine, ways: str) -> None:
    body = message("body", flow=Flow(3), policy=Policy(result_ttl=0.0))
    await engine.broker.put([body, message("m", flow=Flow(then=(Next("body", 0),)))])
    await engine.broker.put([message("no", flow=Flow(then=(Next("body", 1, "success"),)))])
    m, no = await take(engine)
    assert await engine.broker.settle([ended(m)]) == [True]
    assert execute(url, "SELECT count(*) FROM mark")[0][0] == 1
    if ways == "cancel":
        assert await engine.broker.cancel(["body"]) == [True]
    elif ways == "purge":
        assert await engine.inspector.act("purge", Search(ids=("body",))) == 1
    elif ways == "drop":
        assert await engine.broker.settle([ended(no, BOOM)]) == [True]
    else:
        await engine.broker.put([message("bad", flow=Flow(then=(Next("body", 2),)))])
        [bad] = await take(engine)
        assert await engine.broker.settle([ended(bad, BOOM)]) == [True]
        [delivery] = await take(engine)
        outcome = DONE if ways == "over" else Replaced([message("new", flow=Flow(then=(Next("body"),)))], Flow(2))
        assert await engine.broker.settle([ended(delivery, outcome)]) == [True]
    assert execute(url, "SELECT count(*) FROM mark")[0][0] == 0


async def test_who_waits_for_a_callback_that_is_not_needed_is_told(
    engine: PostgresEngine, other: PostgresEngine
) -> None:
    await engine.broker.put([message("a", flow=Flow(then=(Next("b", 0, "failure"),))), message("b", flow=Flow(1))])
    waiting = asyncio.create_task(other.results.wait(["b"], 600))
    [a] = await take(engine)

    async def is_heard() -> bool:
        return other.broker._bell.hears(Ring.RESULTS)

    await eventually(is_heard)
    assert await engine.broker.settle([ended(a)]) == [True]
    assert await asyncio.wait_for(waiting, PATIENCE) == []


async def test_a_join_that_fires_rings_for_who_waits_for_work(engine: PostgresEngine, other: PostgresEngine) -> None:
    await engine.broker.put([message("a", flow=Flow(then=(Next("b"),))), message("b", flow=Flow(1))])
    [a] = await take(engine)
    taking = asyncio.create_task(other.broker.take([LANE], 5, "w2", 600))

    async def is_heard() -> bool:
        return other.broker._bell.hears(Ring.WORK)

    await eventually(is_heard)
    assert await engine.broker.settle([ended(a)]) == [True]
    assert ids(await asyncio.wait_for(taking, PATIENCE)) == ["b"]


@pytest.mark.parametrize(
    ("when", "outcome", "statement"),
    [
        (None, DONE, "end"),
        ("flow", DONE, "end_and_mark"),
        ("flow", BOOM, "end_and_signal"),
        ("failure", DONE, "end_and_signal"),
    ],
)
async def test_an_ending_is_one_statement_whatever_it_means_to_others(
    engine: PostgresEngine, monkeypatch: pytest.MonkeyPatch, when: Any, outcome: Outcome, statement: str
) -> None:
    flow = None if when is None else Flow(then=(Next("b", 0, when),))
    await engine.broker.put([message("a", flow=flow), message("b", flow=Flow(1))])
    [a] = await take(engine)
    run: list[str] = []
    rows = Connection.rows

    async def counted(self: Connection, name: str, *arguments: Any) -> list[Any]:
        run.append(name)
        return await rows(self, name, *arguments)

    monkeypatch.setattr(Connection, "rows", counted)
    assert await engine.broker.settle([ended(a, outcome)]) == [True]
    assert run == [statement]


async def test_a_workflow_sent_within_a_transaction_is_there_when_that_commits(
    url: str, engine: PostgresEngine
) -> None:
    last = [message("c", flow=Flow(2, countdown=0.0)), message("late", flow=Flow(OPEN), due=1.0)]
    steps = [message(name, flow=Flow(then=(Next("c", at),))) for at, name in enumerate("ab")]
    connection = await asyncpg.connect(url.partition("?")[0])
    transaction = connection.transaction()
    await transaction.start()
    asking = engine.inside.put([*last, *steps])
    statement = next(asking)
    accepted = None
    while accepted is None:
        try:
            statement = asking.send(await connection.fetch(statement.numbered, *statement.values))
        except StopIteration as stop:
            accepted = stop.value
    assert accepted == [True] * 4 and await take(engine) == []
    await transaction.commit()
    await connection.close()
    taken = await take(engine)
    assert sorted(ids(taken)) == ["a", "b"]
    assert await engine.broker.settle([ended(one) for one in taken]) == [True, True]
    assert ids(await take(engine)) == ["c"]
    assert await engine.broker.seal("late", 0) and ids(await take(engine)) == ["late"]
