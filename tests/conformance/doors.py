"""Doors: every kind of connection through which a program may send inside its own transaction, over real drivers."""

import os
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import aiosqlite
import asyncpg
import psycopg
import sqlalchemy
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

Sql = Callable[[str], Any]
Inside = tuple[Any, Sql]
"""A connection with a transaction open, and what runs a statement of the program's own there (a coroutine or not)."""
Door = Callable[[str], AbstractAsyncContextManager[Inside]]
"""From a database's URL to one transaction: committed at the end, rolled back when an error comes out of it."""


def file_of(url: str) -> str:
    return url.removeprefix("sqlite:///").partition("?")[0]


def dsn_of(url: str) -> str:
    return urlsplit(url)._replace(query="").geturl()


def through(url: str, driver: str) -> str:
    """A URL as SQLAlchemy writes it."""
    scheme = urlsplit(url).scheme
    return (f"sqlite:///{file_of(url)}" if scheme == "sqlite" else dsn_of(url)).replace(scheme, f"{scheme}+{driver}", 1)


@asynccontextmanager
async def plain_sqlite3(url: str) -> AsyncIterator[Inside]:
    connection = sqlite3.connect(file_of(url))
    try:
        with connection:
            yield connection, connection.execute
    finally:
        connection.close()


@asynccontextmanager
async def begun_sqlite3(url: str) -> AsyncIterator[Inside]:
    """A connection that commits by itself, with BEGIN and COMMIT by hand, and rows that are no tuples."""
    connection = sqlite3.connect(file_of(url), isolation_level=None)
    connection.row_factory = lambda cursor, row: dict(zip((one[0] for one in cursor.description), row, strict=True))
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield connection, connection.execute
        connection.execute("COMMIT")
    finally:
        connection.close()


@asynccontextmanager
async def plain_aiosqlite(url: str) -> AsyncIterator[Inside]:
    async with aiosqlite.connect(file_of(url)) as connection:
        yield connection, connection.execute
        await connection.commit()


@asynccontextmanager
async def plain_psycopg(url: str) -> AsyncIterator[Inside]:
    with psycopg.connect(dsn_of(url), row_factory=psycopg.rows.dict_row) as connection:
        yield connection, connection.execute


@asynccontextmanager
async def psycopg_in_autocommit(url: str) -> AsyncIterator[Inside]:
    with psycopg.connect(dsn_of(url), autocommit=True) as connection, connection.transaction():
        yield connection, connection.execute


@asynccontextmanager
async def async_psycopg(url: str) -> AsyncIterator[Inside]:
    async with await psycopg.AsyncConnection.connect(dsn_of(url)) as connection:
        yield connection, connection.execute


@asynccontextmanager
async def plain_asyncpg(url: str) -> AsyncIterator[Inside]:
    connection = await asyncpg.connect(dsn_of(url))
    try:
        async with connection.transaction():
            yield connection, connection.execute
    finally:
        await connection.close()


@asynccontextmanager
async def pooled_asyncpg(url: str) -> AsyncIterator[Inside]:
    async with (
        asyncpg.create_pool(dsn_of(url), min_size=1, max_size=1) as pool,
        pool.acquire() as connection,
        connection.transaction(),
    ):
        yield connection, connection.execute


def session(driver: str, scoped: bool = False) -> Door:
    @asynccontextmanager
    async def door(url: str) -> AsyncIterator[Inside]:
        engine = sqlalchemy.create_engine(through(url, driver))
        made: Any = scoped_session(sessionmaker(engine)) if scoped else Session(engine)
        try:
            yield made, lambda sql: made.execute(sqlalchemy.text(sql))
            made.commit()
        finally:
            made.close()
            engine.dispose()

    return door


def connection(driver: str) -> Door:
    @asynccontextmanager
    async def door(url: str) -> AsyncIterator[Inside]:
        engine = sqlalchemy.create_engine(through(url, driver))
        try:
            with engine.begin() as made:
                yield made, lambda sql: made.execute(sqlalchemy.text(sql))
        finally:
            engine.dispose()

    return door


def async_session(driver: str) -> Door:
    @asynccontextmanager
    async def door(url: str) -> AsyncIterator[Inside]:
        engine = create_async_engine(through(url, driver))
        try:
            async with AsyncSession(engine) as made, made.begin():
                yield made, lambda sql: made.execute(sqlalchemy.text(sql))
        finally:
            await engine.dispose()

    return door


def async_connection(driver: str) -> Door:
    @asynccontextmanager
    async def door(url: str) -> AsyncIterator[Inside]:
        engine = create_async_engine(through(url, driver))
        try:
            async with engine.begin() as made:
                yield made, lambda sql: made.execute(sqlalchemy.text(sql))
        finally:
            await engine.dispose()

    return door


@asynccontextmanager
async def django(url: str) -> AsyncIterator[Inside]:
    from django.conf import settings
    from django.db import connections, transaction

    # Django's connections refuse to be used where a loop turns, as in these tests; a view would not be.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "yes"
    if not settings.configured:
        settings.configure(DATABASES={})
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        database: dict[str, Any] = {"ENGINE": "django.db.backends.sqlite3", "NAME": file_of(url)}
    else:
        database = {"ENGINE": "django.db.backends.postgresql", "NAME": parts.path[1:], "USER": parts.username}
        database |= {"PASSWORD": parts.password or "", "HOST": parts.hostname, "PORT": parts.port}
    connections.settings["tested"] = database
    connections.configure_settings(connections.settings)
    try:
        with transaction.atomic(using="tested"):
            yield connections["tested"], lambda sql: connections["tested"].cursor().execute(sql)
    finally:
        connections["tested"].close()
        del connections["tested"]


SQLITE: dict[str, Door] = {
    "sqlite3": plain_sqlite3,
    "sqlite3 begun by hand": begun_sqlite3,
    "aiosqlite": plain_aiosqlite,
    "SQLAlchemy Session on sqlite3": session("pysqlite"),
    "SQLAlchemy Connection on sqlite3": connection("pysqlite"),
    "SQLAlchemy AsyncSession on aiosqlite": async_session("aiosqlite"),
    "Django on sqlite3": django,
}
POSTGRES: dict[str, Door] = {
    "psycopg": plain_psycopg,
    "psycopg in autocommit": psycopg_in_autocommit,
    "psycopg async": async_psycopg,
    "asyncpg": plain_asyncpg,
    "asyncpg from a pool": pooled_asyncpg,
    "SQLAlchemy Session on psycopg": session("psycopg"),
    "SQLAlchemy scoped_session on psycopg": session("psycopg", scoped=True),
    "SQLAlchemy Connection on psycopg": connection("psycopg"),
    "SQLAlchemy AsyncSession on psycopg": async_session("psycopg"),
    "SQLAlchemy AsyncSession on asyncpg": async_session("asyncpg"),
    "SQLAlchemy AsyncConnection on asyncpg": async_connection("asyncpg"),
    "Django on psycopg": django,
}
DOORS = {**SQLITE, **POSTGRES}
