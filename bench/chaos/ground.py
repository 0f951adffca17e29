"""Ground: an engine of a run's own, what can be done to it, and what it still holds when all is over.

A new engine joins by being a Ground in `GROUNDS`.
"""

import asyncio
import random
import signal
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Set
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from bench.reading import CannotMeasure
from tests.engines import postgres, rabbitmq, redis

PREVIOUS = "1d90311"
"""The commit that stands for the previous release until there is one: what all engines write was complete by then, and
its workers survive what the chaos does to them."""

Outage = Callable[[float], Awaitable[None]]
"""Takes the engine away for so many seconds; returns when it is back."""

REDIS_STAYS = frozenset({"lanes", "layout", "seq", "served", "workers", "tallies"})
"""Keys that are there once for good. Beside them: tally:* by task, and who listened for work, until some comes."""
REDIS_GROWS = ("tally:", "hungry:", "parked")
POSTGRES_TABLES = ("task", "live", "ending", "event", "trimmed", "worker")
SQLITE_TABLES = ("task", "event", "trimmed", "worker")


class Ground(Protocol):
    """What a run needs of an engine."""

    name: str
    url: str
    backend: str | None
    """The engine beside one that only carries messages."""
    excuses_outages: bool
    """Whether leases end while it is away. They do not where a server is, which knows when it came back."""

    @property
    def port(self) -> int | None:
        """Where connections can be cut; None where there are none."""

    @property
    def outages(self) -> Mapping[str, Outage]:
        """The ways in which it goes away, by name; empty for a server that is not ours."""

    @property
    def slow_outages(self) -> Set[str]:
        """Those that take a machine many seconds: short runs do without."""

    def left(self) -> dict[str, int]:
        """What is still kept and does not end by itself: things by name, and how many. Empty when all is well."""


def through(url: str, port: int) -> str:
    """The same engine behind a proxy's port."""
    parts = urlsplit(url)
    user, at, _ = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user}{at}127.0.0.1:{port}").geturl()


class SqliteGround:
    """A file. It has no server to stop; somebody else holds its lock instead."""

    name = "sqlite"
    backend = None
    slow_outages = frozenset[str]()
    excuses_outages = True
    port = None

    def __init__(self, path: Path) -> None:
        self._path = path
        self.url = f"sqlite:///{path}"
        self.outages: Mapping[str, Outage] = {"lock": self._hold_lock}

    async def _hold_lock(self, seconds: float) -> None:
        await asyncio.to_thread(_hold_lock, self._path, seconds)

    def left(self) -> dict[str, int]:
        with closing(sqlite3.connect(self._path, timeout=30)) as connection:
            counts = {table: _count(connection, table) for table in SQLITE_TABLES}
            [(health,)] = connection.execute("PRAGMA integrity_check").fetchall()
        return {table: count for table, count in counts.items() if count} | ({} if health == "ok" else {health: 1})


def _hold_lock(path: Path, seconds: float) -> None:
    with closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        time.sleep(seconds)
        connection.execute("ROLLBACK")


def _count(connection: sqlite3.Connection, table: str) -> int:
    [(count,)] = connection.execute(f"SELECT count(*) FROM {table}").fetchall()
    return int(count)


class RedisGround:
    """A server that writes down each command before it answers; or one that runs already, which is left alone."""

    name = "redis"
    backend = None
    slow_outages = frozenset[str]()
    excuses_outages = False

    def __init__(self, server: redis.Server | None, url: str) -> None:
        self._server = server
        self.url = url
        self.port = urlsplit(url).port or 6379
        ways: dict[str, Outage] = {"kill": self._kill, "stop": self._stop}
        self.outages: Mapping[str, Outage] = ways if server is not None else {}

    async def _kill(self, seconds: float) -> None:
        await self._away(True, seconds)

    async def _stop(self, seconds: float) -> None:
        await self._away(False, seconds)

    async def _away(self, force: bool, seconds: float) -> None:
        assert self._server is not None
        await asyncio.to_thread(self._server.stop, force)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(self._server.start)

    def left(self) -> dict[str, int]:
        prefix = redis.prefix(self.url).encode()
        found: dict[str, int] = {}
        with redis.client(self.url) as connection:
            for key in redis.keys(self.url):
                name = key.removeprefix(prefix).decode()
                if self._stays(name) or connection.pttl(key) > 0:
                    continue
                if name == "running" and not any(int(value) for value in connection.hvals(key)):
                    continue
                kind = name.partition(":")[0]
                found[kind] = found.get(kind, 0) + 1
        return found

    @staticmethod
    def _stays(name: str) -> bool:
        return name in REDIS_STAYS or name.startswith(REDIS_GROWS)


class RabbitGround:
    """A node of RabbitMQ with a private Redis beside it; each of them goes away by itself."""

    name = "rabbitmq"
    excuses_outages = False
    slow_outages = frozenset({"kill", "stop"})

    def __init__(self, server: rabbitmq.Server, behind: RedisGround) -> None:
        self._server = server
        self._behind = behind
        self.url, self.port = server.url, server.port
        self.backend = behind.url
        backends = {f"backend {how}": away for how, away in behind.outages.items()}
        self.outages: Mapping[str, Outage] = {"kill": self._kill, "stop": self._stop, **backends}

    async def _kill(self, seconds: float) -> None:
        await self._away(signal.SIGKILL, seconds)

    async def _stop(self, seconds: float) -> None:
        await self._away(signal.SIGTERM, seconds)

    async def _away(self, how: signal.Signals, seconds: float) -> None:
        await asyncio.to_thread(self._server.stop, how)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(self._server.start)

    def left(self) -> dict[str, int]:
        told = self._server.control("list_queues", "name", "messages", "--no-table-headers").splitlines()
        counts = {f"queue {name}": int(count) for name, _, count in (line.rpartition("\t") for line in told)}
        return {name: count for name, count in counts.items() if count} | self._behind.left()


class PostgresGround:
    """A server with a schema of the run's own."""

    name = "postgres"
    backend = None
    slow_outages = frozenset[str]()
    excuses_outages = False

    def __init__(self, server: postgres.Server | None, url: str) -> None:
        self._server = server
        self.url = url
        self.port = urlsplit(url).port or 5432
        ways: dict[str, Outage] = {"crash": self._crash, "stop": self._stop}
        self.outages: Mapping[str, Outage] = ways if server is not None else {}

    async def _crash(self, seconds: float) -> None:
        await self._away(signal.SIGQUIT, seconds)

    async def _stop(self, seconds: float) -> None:
        await self._away(signal.SIGINT, seconds)

    async def _away(self, how: signal.Signals, seconds: float) -> None:
        assert self._server is not None
        await asyncio.to_thread(self._server.stop, how)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(self._server.start)

    def left(self) -> dict[str, int]:
        counts = {
            table: int(postgres.execute(self.url, f"SELECT count(*) FROM {table}")[0][0]) for table in POSTGRES_TABLES
        }
        return {table: count for table, count in counts.items() if count}


@contextmanager
def sqlite_ground(url: str | None) -> Iterator[Ground]:
    with tempfile.TemporaryDirectory(prefix="polypool-chaos-") as folder:
        path = Path(urlsplit(url).path[1:]).resolve() if url else Path(folder, "chaos.db")
        yield SqliteGround(path)


@contextmanager
def redis_ground(url: str | None) -> Iterator[Ground]:
    prefix = f"prefix=chaos-{random.randbytes(4).hex()}"
    with ExitStack() as closing_last:
        server = None
        if url is None:
            server = redis.Server("--appendonly", "yes", "--appendfsync", "always")
            closing_last.callback(server.remove)
            url = f"{server.url}?{prefix}"
        elif "prefix=" not in url:
            url = f"{url}{'&' if '?' in url else '?'}{prefix}"
        yield RedisGround(server, url)
        if server is None:
            redis.clean(url)


@contextmanager
def rabbit_ground(url: str | None) -> Iterator[Ground]:
    if url is not None:
        raise CannotMeasure("chaos on RabbitMQ needs a node of its own; say rabbitmq instead of a URL")
    with ExitStack() as closing_last:
        behind = redis.Server("--appendonly", "yes", "--appendfsync", "always")
        closing_last.callback(behind.remove)
        server = rabbitmq.Server()
        closing_last.callback(server.remove)
        yield RabbitGround(server, RedisGround(behind, f"{behind.url}?prefix=chaos"))


@contextmanager
def postgres_ground(url: str | None) -> Iterator[Ground]:
    with ExitStack() as closing_last:
        server = closing_last.enter_context(postgres.private_server()) if url is None else None
        at = postgres.empty_schema(server.url if server is not None else str(url))
        yield PostgresGround(server, at)
        if server is None:
            postgres.drop_schema(at)


GROUNDS: Mapping[str, Callable[[str | None], AbstractContextManager[Ground]]] = {
    "sqlite": sqlite_ground,
    "redis": redis_ground,
    "postgres": postgres_ground,
    "rabbitmq": rabbit_ground,
}
"""By scheme: makes the engine, or uses the one that a URL names."""


def ground(engine: str) -> AbstractContextManager[Ground]:
    """For a name (`redis`: a private server) or a URL."""
    scheme, _, rest = engine.partition("://")
    name = {"postgresql": "postgres", "rediss": "redis", "amqp": "rabbitmq"}.get(scheme, scheme)
    if name not in GROUNDS:
        raise CannotMeasure(f"no engine is called {engine!r}; there are {', '.join(GROUNDS)}, and their URLs")
    return GROUNDS[name](engine if rest else None)
