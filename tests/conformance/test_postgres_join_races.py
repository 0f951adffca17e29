"""Joins on PostgreSQL told by several connections at once: nothing is missed, nobody stands in another's way."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence

import pytest

from polypool.brokers.postgres.engine import PostgresEngine
from polypool.brokers.postgres.rows import Lanes
from polypool.brokers.postgres.session import Connection
from polypool.brokers.postgres.settle import settle, written
from polypool.core.join import OPEN, Flow, Next
from polypool.core.message import Delivery
from polypool.core.outcome import Outcome
from tests.conformance.joins_seen import BOOM, DONE, cut, ended, opened, pair, take
from tests.conformance.scene import PATIENCE, eventually, ids, message
from tests.engines.postgres import drop_schema, empty_schema, execute


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


class Halfway:
    """Something written on an engine's connection and not yet committed."""

    def __init__(self, engine: PostgresEngine, write: Callable[[Connection], Awaitable[object]]) -> None:
        self._written, self._go_on = asyncio.Event(), asyncio.Event()

        async def job(connection: Connection) -> None:
            async with connection.transaction():
                await write(connection)
                self._written.set()
                await self._go_on.wait()

        self._running = asyncio.create_task(engine.broker._session.run(job))

    async def reached(self) -> None:
        await asyncio.wait_for(self._written.wait(), PATIENCE)

    async def commit(self) -> None:
        self._go_on.set()
        await asyncio.wait_for(self._running, PATIENCE)


def settling(engine: PostgresEngine, *deliveries: Delivery, outcome: Outcome = DONE) -> Halfway:
    lanes = Lanes(engine.broker._session)
    given = [written(ended(one, outcome), engine.broker.traits) for one in deliveries]
    return Halfway(engine, lambda connection: settle(connection, lanes, given, engine.broker._session.clock()))


def sealing(engine: PostgresEngine, id: str, places: int) -> Halfway:
    now = engine.broker._session.clock()
    return Halfway(engine, lambda connection: connection.rows("seal", id, places, now))


async def is_held_up(url: str) -> bool:
    """Whether somebody waits for a row that another has locked."""
    sql = """SELECT FROM pg_locks JOIN pg_class ON pg_class.oid = pg_locks.relation OR pg_locks.relation IS NULL
             WHERE NOT granted LIMIT 1"""
    return bool(execute(url, sql))


@pytest.mark.parametrize("before", [(), ("first",)])
async def test_of_two_that_mark_the_last_two_places_at_once_the_second_sees_the_first(
    url: str, engine: PostgresEngine, other: PostgresEngine, before: tuple[str, ...]
) -> None:
    """Without `before` not even the row with the marks is there when the second looks."""
    m, n = await pair(engine, len(before) + 2, *before)
    first = settling(engine, m)
    await first.reached()
    second = asyncio.create_task(other.broker.settle([ended(n)]))
    await eventually(lambda: is_held_up(url))
    await first.commit()
    assert await asyncio.wait_for(second, PATIENCE) == [True]
    [body] = await take(engine)
    assert (body.id, body.cause) == ("body", None)
    assert await take(other, "w2") == []


@pytest.mark.parametrize("seals_first", [True, False])
async def test_a_join_sealed_while_its_last_place_is_marked_runs(
    url: str, engine: PostgresEngine, other: PostgresEngine, seals_first: bool
) -> None:
    m, n = await pair(engine, OPEN)
    assert await engine.broker.settle([ended(m)]) == [True]
    first = sealing(engine, "body", 2) if seals_first else settling(engine, n)
    await first.reached()
    second = asyncio.create_task(other.broker.settle([ended(n)]) if seals_first else other.broker.seal("body", 2))
    await eventually(lambda: is_held_up(url))
    await first.commit()
    assert await asyncio.wait_for(second, PATIENCE) in (True, [True])
    assert ids(await take(engine)) == ["body"]


@pytest.mark.parametrize("fails_first", [True, False])
async def test_of_a_last_place_and_a_failure_at_once_the_first_decides(
    url: str, engine: PostgresEngine, other: PostgresEngine, fails_first: bool
) -> None:
    """A place that is marked twice over, which no composed workflow has: both could let it go."""
    await engine.broker.put([message("body", flow=Flow(1))])
    await engine.broker.put([message(name, flow=Flow(then=(Next("body", 0),))) for name in ("m", "n")])
    m, n = await take(engine)
    first = settling(engine, m, outcome=BOOM if fails_first else DONE)
    await first.reached()
    second = asyncio.create_task(other.broker.settle([ended(n, DONE if fails_first else BOOM)]))
    await eventually(lambda: is_held_up(url))
    await first.commit()
    assert await asyncio.wait_for(second, PATIENCE) == [True]
    [body] = await take(engine)
    assert (body.cause is not None) is fails_first


async def test_a_cancel_of_what_waits_and_the_last_place_at_once_leave_one_ending(
    url: str, engine: PostgresEngine, other: PostgresEngine
) -> None:
    m, n = await pair(engine, 2)
    assert await engine.broker.settle([ended(m)]) == [True]
    first = settling(engine, n)
    await first.reached()
    cancelling = asyncio.create_task(other.broker.cancel(["body"]))
    await eventually(lambda: is_held_up(url))
    await first.commit()
    assert await asyncio.wait_for(cancelling, PATIENCE) == [True]
    assert await take(engine) == []
    [record] = await engine.results.read(["body"])
    assert record is not None and record.state == "cancelled"


async def crowd(engine: PostgresEngine, joins: int, members: int) -> tuple[list[Delivery], list[str]]:
    """Joins, each of many places, and members that tell several of them each. Two thirds are taken; each of the rest,
    whose ids are returned, waits for one of these. All in any order: ids, places in line and who tells whom."""
    dice = random.Random(7)
    chosen = [dice.sample(range(joins), 5) for _ in range(members)]
    told = [[at for at, ones in enumerate(chosen) if join in ones] for join in range(joins)]
    third = members // 3
    flows = [
        Flow(
            waits=0 if at < 2 * third else 1,
            then=(
                *(Next(f"j{join}", told[join].index(at)) for join in ones),
                *([Next(f"m{at + 2 * third}")] if at < third else []),
            ),
        )
        for at, ones in enumerate(chosen)
    ]
    # Their ids are in another order than their places in line, by which they are locked.
    await engine.broker.put([message(f"j{at}", flow=Flow(len(told[at]))) for at in dice.sample(range(joins), joins)])
    await engine.broker.put([message(f"m{at}", flow=flows[at]) for at in dice.sample(range(members), members)])
    taken = await take(engine)
    return dice.sample(taken, len(taken)), [f"m{at}" for at in dice.sample(range(2 * third, members), third)]


@pytest.mark.parametrize("cancels", [False, True])
async def test_many_that_tell_the_same_joins_in_every_order_never_stand_in_each_other_s_way(
    url: str, engine: PostgresEngine, other: PostgresEngine, cancels: bool
) -> None:
    """A deadlock would be noticed by the server, undone and repeated: what counts is that there was none."""
    third = await opened(url, "w3")
    engines = [engine, other, third]
    held, left = await crowd(engine, joins=40, members=450)

    async def work(one: PostgresEngine, batches: Sequence[Sequence[Delivery]]) -> None:
        for batch in batches:
            assert all(await one.broker.settle([ended(delivery) for delivery in batch]))

    async def give_up(one: PostgresEngine) -> None:
        for batch in cut(left, 7):
            assert all(await one.broker.cancel(batch))

    batches = cut(held, 7)
    works = [work(one, batches[at::3]) for at, one in enumerate(engines)]
    await asyncio.gather(*works, *([give_up(other)] if cancels else []))
    if not cancels:
        rest = await take(engine)
        await asyncio.gather(*(work(one, cut(rest, 7)[at::3]) for at, one in enumerate(engines)))
    assert sorted(ids(await take(engine))) == sorted(f"j{at}" for at in range(40))
    assert [one.broker._session.failures for one in engines] == [0, 0, 0]
    await third.broker.close()
