"""Connections to a PostgreSQL server through which nothing may be sent, and the words that say why."""

from collections.abc import Iterator

import asyncpg
import psycopg
import pytest
import sqlalchemy
from sqlalchemy.ext.asyncio import create_async_engine

from polypool import Polypool
from polypool.core.error import ConfigurationError, EngineDamaged
from tests.conformance.doors import dsn_of, through
from tests.engines.postgres import drop_schema, empty_schema


@pytest.fixture
def url(postgres: str) -> Iterator[str]:
    made = empty_schema(postgres)
    yield made
    drop_schema(made)


@pytest.fixture
def app(url: str) -> Iterator[Polypool]:
    made = Polypool("shop", broker=url)
    made.task(name="mail")(lambda to: to)
    yield made
    made.close()


def test_missing_tables_are_told_with_the_command_and_with_where_the_broker_is(app: Polypool, url: str) -> None:
    with (
        psycopg.connect(dsn_of(url)) as connection,
        pytest.raises(EngineDamaged, match=r"polypool migrate.*connect to the app's broker"),
    ):
        app.tasks["mail"].using(connection).delay("ann")


def test_another_database_with_polypools_tables_is_refused_and_gets_nothing(app: Polypool, url: str) -> None:
    app.open()
    with psycopg.connect(dsn_of(url)) as connection:
        elsewhere = Polypool("shop", broker=url.replace("/postgres?", "/other?"))
        task = elsewhere.task(name="mail")(lambda to: to)
        with pytest.raises(ConfigurationError, match=r"database 'postgres'.*/other: nothing was sent"):
            task.using(connection).apply_async(("ann",), task_id="lost")
        connection.commit()
    assert app.result("lost").status == "unknown"


async def test_asyncpg_outside_a_transaction_is_refused(app: Polypool, url: str) -> None:
    connection = await asyncpg.connect(dsn_of(url))
    with pytest.raises(ConfigurationError, match=r"async with connection.transaction\(\)"):
        await app.tasks["mail"].using(connection).adelay("ann")
    await connection.close()


def test_psycopg_in_autocommit_outside_a_transaction_is_refused(app: Polypool, url: str) -> None:
    with (
        psycopg.connect(dsn_of(url), autocommit=True) as connection,
        pytest.raises(ConfigurationError, match=r"with connection.transaction\(\)"),
    ):
        app.tasks["mail"].using(connection).delay("ann")


def test_sqlalchemy_in_autocommit_is_refused(app: Polypool, url: str) -> None:
    engine = sqlalchemy.create_engine(through(url, "psycopg"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection, pytest.raises(ConfigurationError, match="AUTOCOMMIT"):
        app.tasks["mail"].using(connection).delay("ann")
    engine.dispose()


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
async def test_async_sqlalchemy_in_autocommit_is_refused(app: Polypool, url: str, driver: str) -> None:
    engine = create_async_engine(through(url, driver), isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        with pytest.raises(ConfigurationError, match="AUTOCOMMIT"):
            await app.tasks["mail"].using(connection).adelay("ann")
    await engine.dispose()


def test_an_engine_in_place_of_a_connection_is_refused(app: Polypool, url: str) -> None:
    engine = sqlalchemy.create_engine(through(url, "psycopg"))
    with pytest.raises(ConfigurationError, match="take a connection first"):
        app.tasks["mail"].using(engine)
    engine.dispose()
