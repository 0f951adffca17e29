"""Sends inside the caller's own transaction: there exactly when it commits, over every kind of connection."""

import asyncio
import inspect
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from polypool import AsyncResult, Polypool
from polypool.brokers.postgres.options import Options
from polypool.brokers.sqlite import bell
from polypool.core.error import ConfigurationError, DuplicateTask, MessageTooLarge, ResultUnknown
from polypool.core.message import Lane
from polypool.core.report import Heartbeat
from tests.conformance.doors import DOORS, POSTGRES, Door
from tests.engines.postgres import drop_schema, empty_schema

FEW = [
    "sqlite3",
    "SQLAlchemy AsyncSession on aiosqlite",
    "psycopg",
    "asyncpg",
    "SQLAlchemy Session on psycopg",
    "SQLAlchemy AsyncSession on asyncpg",
]
"""One of each way in which values travel; what does not depend on more is tested with these."""
few = pytest.mark.parametrize("shop", FEW, indirect=True)


class Shop:
    """A program with a table of its own and an app, whose broker is the same database."""

    def __init__(self, url: str, door: Door) -> None:
        self.url = url
        self.door = door
        self.table = f"{Options.parse(url)[1].schema}.orders" if url.startswith("postgres") else "orders"
        self.app = Polypool("shop", broker=url)
        self.mail = self.app.task(name="shop.mail")(_mail)

    async def send(self, connection: Any, *args: Any, **options: Any) -> AsyncResult[str]:
        """In the colour of the connection."""
        inside = self.mail.using(connection)
        if is_awaited(connection):
            return await inside.aapply_async(args, **options)
        return inside.apply_async(args, **options)

    async def map(self, connection: Any, items: Any, **options: Any) -> Any:
        inside = self.mail.using(connection)
        return await inside.amap(items, **options) if is_awaited(connection) else inside.map(items, **options)

    async def order(self, sql: Any) -> None:
        await done(sql(f"INSERT INTO {self.table} VALUES (1)"))

    async def orders(self) -> int:
        async with self.door(self.url) as (_, sql):
            rows = await done(sql(f"SELECT n FROM {self.table}"))
            if isinstance(rows, str):  # asyncpg's own word for it
                return int(rows.rpartition(" ")[2])
            found = rows.fetchall() if hasattr(rows, "fetchall") else []
            return len(await done(found))

    async def waiting(self) -> list[str]:
        """What a worker would find, in its order."""
        from polypool.brokers.open import open_engine

        engine = open_engine(self.url)
        await engine.broker.open()
        try:
            await engine.broker.beat(Heartbeat("w", "here", 1, 1.0, 60.0))
            taken = await engine.broker.take([Lane("default", "threads")], 10_000, "w", 0)
            return [delivery.id for delivery in taken]
        finally:
            await engine.broker.close()


def _mail(to: str, text: str = "") -> str:
    return to


def is_awaited(connection: Any) -> bool:
    kind = type(connection)
    return kind.__name__.startswith("Async") or kind.__module__.partition(".")[0] in ("aiosqlite", "asyncpg")


async def done(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


@pytest.fixture(params=DOORS)
async def shop(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Shop]:
    """A shop with no orders and nothing sent."""
    is_postgres = request.param in POSTGRES
    if is_postgres:
        url = empty_schema(request.getfixturevalue("postgres"))
    else:
        url = f"sqlite:///{tmp_path}/shop.db?shared=yes"
    made = Shop(url, DOORS[request.param])
    await made.app.result("none").astatus()  # makes the tables
    async with made.door(url) as (_, sql):
        await done(sql(f"CREATE TABLE {made.table} (n INTEGER)"))
    yield made
    made.app.close()
    if is_postgres:
        drop_schema(url)


async def test_what_is_sent_is_unknown_before_the_commit_and_waits_for_a_worker_after_it(shop: Shop) -> None:
    async with shop.door(shop.url) as (connection, sql):
        await shop.order(sql)
        result = await shop.send(connection, "ann")
        assert await result.astatus() == "unknown"
        with pytest.raises(ResultUnknown, match="not been committed"):
            await result.aget()
    assert await result.astatus() == "queued"
    assert await shop.waiting() == [result.id]
    assert await shop.orders() == 1


async def test_an_error_in_the_block_takes_the_row_and_the_task_back(shop: Shop) -> None:
    with pytest.raises(ZeroDivisionError):
        async with shop.door(shop.url) as (connection, sql):
            await shop.order(sql)
            result = await shop.send(connection, "ann")
            await shop.map(connection, ["bob", "cid"])
            raise ZeroDivisionError
    assert await result.astatus() == "unknown"
    assert (await shop.waiting(), await shop.orders()) == ([], 0)


@few
async def test_a_send_may_be_the_first_thing_in_a_transaction(shop: Shop) -> None:
    with pytest.raises(ZeroDivisionError):
        async with shop.door(shop.url) as (connection, sql):
            await shop.send(connection, "ann")
            await shop.order(sql)
            raise ZeroDivisionError
    assert (await shop.waiting(), await shop.orders()) == ([], 0)


async def test_a_savepoint_rolled_back_takes_only_what_was_sent_since(shop: Shop) -> None:
    async with shop.door(shop.url) as (connection, sql):
        await shop.order(sql)
        before = await shop.send(connection, "before")
        await done(sql("SAVEPOINT half"))
        await shop.order(sql)
        since = await shop.send(connection, "since")
        await done(sql("ROLLBACK TO SAVEPOINT half"))
        after = await shop.send(connection, "after")
    assert await shop.waiting() == [before.id, after.id]
    assert await since.astatus() == "unknown"
    assert await shop.orders() == 1


async def test_an_id_that_was_sent_before_is_refused_and_the_transaction_goes_on(shop: Shop) -> None:
    await shop.mail.aapply_async(("ann",), task_id="outside")
    async with shop.door(shop.url) as (connection, sql):
        await shop.send(connection, "bob", task_id="inside")
        for known in ("outside", "inside"):
            with pytest.raises(DuplicateTask, match=known):
                await shop.send(connection, "cid", task_id=known)
        await shop.order(sql)
    assert await shop.waiting() == ["outside", "inside"]
    assert await shop.orders() == 1


@few
async def test_an_id_is_free_when_the_time_of_its_ending_is_over(shop: Shop) -> None:
    first = await shop.mail.aapply_async(("ann",), task_id="again", result_ttl=0.01)
    assert await first.acancel()
    while await shop.app.result("again").astatus() == "cancelled":
        await asyncio.sleep(0.005)
    async with shop.door(shop.url) as (connection, _):
        await shop.send(connection, "bob", task_id="again")
    assert await shop.app.result("again").astatus() == "queued"


@few
async def test_two_thousand_stand_in_line_in_order_after_the_commit_and_not_before(shop: Shop) -> None:
    async with shop.door(shop.url) as (connection, _):
        group = await shop.map(connection, (str(n) for n in range(2_000)), task_id="all")
        assert await group[0].astatus() == await group[1_999].astatus() == "unknown"
    assert await shop.waiting() == [f"all-{n}" for n in range(2_000)]
    assert len(group) == 2_000


@few
async def test_a_map_that_fails_half_way_says_that_what_it_sent_stands_in_the_transaction(shop: Shop) -> None:
    def items() -> Any:
        yield from (str(n) for n in range(1_500))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        async with shop.door(shop.url) as (connection, _):
            await shop.map(connection, items())
    assert "1,000 stand in the transaction" in "".join(caught.value.__notes__)
    assert await shop.waiting() == []


@few
async def test_queue_priority_and_countdown_hold_for_what_is_sent_inside(shop: Shop) -> None:
    async with shop.door(shop.url) as (connection, _):
        low = await shop.send(connection, "low", priority=-1)
        high = await shop.send(connection, "high", priority=1)
        late = await shop.send(connection, "late", countdown=60)
        elsewhere = await shop.send(connection, 'queue "of" its {own}, %s \\ :x', queue="new")
    assert await shop.waiting() == [high.id, low.id]
    assert (await late.astatus(), await elsewhere.astatus()) == ("scheduled", "queued")


@few
async def test_a_lane_first_used_in_a_transaction_that_is_rolled_back_is_made_by_the_next(shop: Shop) -> None:
    with pytest.raises(ZeroDivisionError):
        async with shop.door(shop.url) as (connection, _):
            await shop.send(connection, "ann")
            raise ZeroDivisionError
    async with shop.door(shop.url) as (connection, _):
        result = await shop.send(connection, "ann")
    assert await shop.waiting() == [result.id]


@few
async def test_a_message_that_is_too_large_is_refused_before_the_transaction_hears_of_it(shop: Shop) -> None:
    async with shop.door(shop.url) as (connection, sql):
        await shop.order(sql)
        with pytest.raises(MessageTooLarge):
            await shop.send(connection, "ann", "x" * 17_000_000)
    assert (await shop.waiting(), await shop.orders()) == ([], 1)


@few
async def test_arguments_arrive_as_they_were_sent(shop: Shop) -> None:
    text = "quotes ' \" and \\ {braces} $1 %s ? :name, NULL, umlauts äöü €, \t\n and a million more: " + "x" * 1_000_000
    async with shop.door(shop.url) as (connection, _):
        result = await shop.send(connection, "ann", text)
    args, kwargs = await _arguments(shop, result.id)
    assert (args, kwargs) == (["ann", text], {})


async def test_the_twin_of_the_other_colour_is_refused_by_name(shop: Shop) -> None:
    async with shop.door(shop.url) as (connection, _):
        inside = shop.mail.using(connection)
        if is_awaited(connection):
            with pytest.raises(ConfigurationError, match="adelay"):
                inside.delay("ann")
            with pytest.raises(ConfigurationError, match="amap"):
                inside.map(["ann"])
        else:
            with pytest.raises(ConfigurationError, match=r"delay\(…\).*without await"):
                await inside.adelay("ann")
            with pytest.raises(ConfigurationError, match="without await"):
                await inside.amap(["ann"])
    assert await shop.waiting() == []


@few
async def test_a_worker_that_waits_is_woken_by_the_commit(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by its clock: the looks that would find it anyway are put off, and the take has no other end."""
    from polypool.brokers.open import open_engine

    monkeypatch.setattr(bell, "LOOK_ANYWAY", 3_600.0)
    engine = open_engine(shop.url)
    await engine.broker.open()
    await engine.broker.beat(Heartbeat("w", "here", 1, 1.0, 3_600.0))
    taking = asyncio.create_task(engine.broker.take([Lane("default", "threads")], 1, "w", 3_600.0))  # type: ignore[arg-type]
    try:
        # One that is found proves that it listens by now: a send of its own kind wakes it.
        first = await shop.mail.adelay("first")
        assert [delivery.id for delivery in await taking] == [first.id]
        taking = asyncio.create_task(engine.broker.take([Lane("default", "threads")], 1, "w", 3_600.0))  # type: ignore[arg-type]
        async with shop.door(shop.url) as (connection, sql):
            result = await shop.send(connection, "ann")
            await shop.order(sql)
        assert [delivery.id for delivery in await asyncio.wait_for(taking, 60)] == [result.id]
    finally:
        taking.cancel()
        await asyncio.wait([taking])
        await engine.broker.close()


async def _arguments(shop: Shop, id: str) -> tuple[list[Any], dict[str, Any]]:
    from polypool.brokers.open import open_engine

    engine = open_engine(shop.url)
    await engine.broker.open()
    try:
        await engine.broker.beat(Heartbeat("w", "here", 1, 1.0, 60.0))
        [delivery] = await engine.broker.take([Lane("default", "threads")], 10, "w", 0)
        assert delivery.id == id
        return shop.mail.arguments.decode(delivery.message.args)
    finally:
        await engine.broker.close()
