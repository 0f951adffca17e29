"""The one connection that work is done on: one job at a time, opened anew when it broke."""

import asyncio
import logging
import ssl
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import asyncpg

from polypool.brokers.postgres.fault import is_gone, is_worth_repeating, mapped
from polypool.brokers.postgres.migrate import prepare
from polypool.brokers.postgres.options import Options, shown
from polypool.brokers.postgres.proxy import is_proxy, together
from polypool.brokers.postgres.statements import Statements
from polypool.core.error import EngineUnreachable

T = TypeVar("T")
Clock = Callable[[], float]

# Every statement finds its rows by an index. A plan made while a table was empty would read all of it, and is kept; one
# made anew at each call, as the server likes to, costs more than running it.
_SETTINGS = {
    "application_name": "polypool",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
    "plan_cache_mode": "force_generic_plan",
    "default_transaction_isolation": "read committed",
    "statement_timeout": "0",
}
TRIES = 5
LONGEST_STATEMENT = 60.0
"""Seconds; all are bounded batches. Without an end a network that swallows packets would hold everything up."""
SKEW = 0.25
"""Seconds that this machine's clock may differ from the server's before the server's counts."""

log = logging.getLogger("polypool.postgres")


class Session:
    """A server, connected to once, for coroutines of one loop."""

    def __init__(self, url: str, clock: Clock) -> None:
        self._dsn, self.options = Options.parse(url)
        self.server = shown(url)
        self.statements = Statements(self.options.schema)
        self.is_pooled = self.options.pooled
        self._given_clock = clock
        self._skew = 0.0
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._lock = asyncio.Lock()
        self._under_way: set[asyncio.Task[Any]] = set()
        self._is_open = False
        self.failures = 0
        """Jobs that failed or were repeated: what they were told may have been undone."""

    def clock(self) -> float:
        """The time that leases and delays are held to: this machine's, unless the server's is clearly another."""
        return self._given_clock() + self._skew

    async def open(self) -> None:
        """Connect, and make the tables if that is wanted."""
        if self._is_open:
            return
        self._is_open = True
        try:
            async with self._lock:
                await self._connected()
        except BaseException:
            self._is_open = False
            raise

    async def close(self) -> None:
        """Let everything under way finish, then disconnect."""
        while self._under_way:
            await asyncio.wait(self._under_way)
        self._is_open = False
        connection, self._connection = self._connection, None
        if connection is not None:
            await end(connection)

    async def run(self, job: Callable[["Connection"], Awaitable[T]]) -> T:
        """Do a job when its turn has come. It is done to its end even if nobody waits any more; errors are polypool's.

        What the server undid because of somebody else is done again, so a job must be able to run twice.
        """
        if not self._is_open:
            raise EngineUnreachable(f"{self.server}: not open (or closed already); await engine.broker.open() first")
        return await asyncio.shield(self.start(self._run(job)))

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begin work that `close` waits for."""
        task = asyncio.get_running_loop().create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._over)
        return task

    def begin(self, work: Coroutine[Any, Any, Any]) -> None:
        """As `start`, for work that nobody waits for."""
        self.start(work).add_done_callback(_ended)

    async def connect(self) -> "asyncpg.Connection[asyncpg.Record]":
        """A new connection, the caller's to close. Raises polypool's errors."""
        settings = {} if self.is_pooled else {**_SETTINGS, "synchronous_commit": self.options.synchronous_commit}
        cache = {"statement_cache_size": 0} if self.is_pooled else {}
        try:
            return await asyncpg.connect(
                self._dsn,
                timeout=self.options.connect_timeout,
                command_timeout=LONGEST_STATEMENT,
                server_settings=settings or None,
                **cache,
            )
        except Exception as error:
            if is_proxy(error) and not self.is_pooled:
                self._notice_proxy()
                return await self.connect()
            raise mapped(_in_words(error), self.server) from error

    async def _run(self, job: Callable[["Connection"], Awaitable[T]]) -> T:
        async with self._lock:
            tries = TRIES
            while True:
                tries -= 1
                connection = await self._connected()
                try:
                    return await self._done(job, connection)
                except Exception as error:
                    self.failures += 1
                    is_news = is_proxy(error) and not self.is_pooled
                    if is_news:
                        self._notice_proxy()
                    if is_news or connection.is_closed() or is_gone(error):
                        self._connection = None
                        connection.terminate()
                    if tries and (is_news or is_worth_repeating(error)):
                        continue
                    raise mapped(error, self.server) from error

    async def _done(
        self, job: Callable[["Connection"], Awaitable[T]], connection: "asyncpg.Connection[asyncpg.Record]"
    ) -> T:
        if not self.is_pooled:
            return await job(Connection(connection, self.statements))
        async with together(connection):
            if self.options.synchronous_commit != "on":
                await connection.execute(f"SET LOCAL synchronous_commit = {self.options.synchronous_commit}")
            return await job(Connection(connection, self.statements))

    def _notice_proxy(self) -> None:
        self.is_pooled = True
        log.warning(
            "%s is behind a transaction-pooling proxy: polling every %g s instead of listening. "
            "Say ?pooled=yes to confirm, or connect to the server itself for less latency",
            self.server,
            self.options.poll,
        )

    async def _connected(self) -> "asyncpg.Connection[asyncpg.Record]":
        if self._connection is None or self._connection.is_closed():
            made = await self.connect()
            try:
                async with together(made):
                    await prepare(made, self.statements, self.options, self.server)
                    if self._given_clock is time.time:
                        skew = float(await made.fetchval("SELECT extract(epoch FROM clock_timestamp())")) - time.time()
                        self._skew = skew if abs(skew) > SKEW else 0.0
            except BaseException as error:
                made.terminate()
                if is_proxy(error) and not self.is_pooled:
                    self._notice_proxy()
                    return await self._connected()
                if isinstance(error, Exception):
                    raise mapped(error, self.server) from error
                raise
            self._connection = made
        return self._connection

    def _over(self, task: asyncio.Task[Any]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waited has been told; if nobody did, nobody needs to know


class Connection:
    """What a job works with: the statements by name."""

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]", statements: Statements) -> None:
        self._connection = connection
        self.statements = statements

    async def rows(self, name: str, *arguments: Any) -> list[Any]:
        return await self.fetch(self.statements[name], *arguments)

    async def row(self, name: str, *arguments: Any) -> Any:
        """The one row, None where there is none."""
        return await self._connection.fetchrow(self.statements[name], *arguments)

    async def fetch(self, sql: str, *arguments: Any) -> list[Any]:
        return list(await self._connection.fetch(sql, *arguments))

    def transaction(self) -> Any:
        """Several statements as one, as an async context manager."""
        return self._connection.transaction()


async def end(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Close in good order if that is possible within a second."""
    try:
        await connection.close(timeout=1.0)
    except Exception:
        connection.terminate()


def _ended(_: asyncio.Task[Any]) -> None:
    """Its error, if any, has been looked at by the session."""


def _in_words(error: Exception) -> Exception:
    if isinstance(error, asyncpg.ClientConfigurationError | ValueError) and not isinstance(error, ssl.SSLError):
        from polypool.core.error import ConfigurationError

        return ConfigurationError(f"the broker's URL is not understood: {error}")
    return error
