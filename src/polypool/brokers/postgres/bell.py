"""Wakes whoever waits for a change, in this process, when any process writes one: LISTEN on a connection of its own.

Whatever is said while nobody listens is lost, so each (re)connection rings everything: those who wait look again. Where
listening is impossible (a transaction-pooling proxy) everything rings by the clock instead, as long as somebody waits.
"""

import asyncio
import enum
import logging
import os
from collections.abc import Callable

import asyncpg

from polypool.brokers.postgres.proxy import AnyConnection
from polypool.brokers.postgres.rows import EVERYTHING
from polypool.brokers.postgres.session import Session, end
from polypool.core.error import ConfigurationError

ECHO_WITHIN = 3.0
"""Seconds in which a notification must have come back, or listening does not work here."""
PING_EVERY = 15.0
FIRST_RETRY, SLOWEST_RETRY = 0.05, 5.0

log = logging.getLogger("polypool.postgres")


class Ring(enum.StrEnum):
    """What there is to look at again; the names of the channels."""

    WORK = "work"
    RESULTS = "results"
    ORDERS = "orders"


class Bell:
    """One engine's ears. Listens for a kind from the first wait for it on: a process that only waits for results is not
    woken by everybody's sends."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._rung = {kind: asyncio.Event() for kind in Ring}
        self._counts = dict.fromkeys(Ring, 0)
        self._tell_results: Callable[[str], None] = _nobody
        self._listening: asyncio.Task[None] | None = None
        self._waiting = 0
        self._wanted = set[Ring]()
        self._hearing = frozenset[Ring]()
        self._is_broken = False
        self._stirred = asyncio.Event()
        """The connection broke, or one more kind is wanted."""
        self._echo = asyncio.Event()
        self._nonce = ""
        self.is_polling = False

    def on_results(self, tell: Callable[[str], None]) -> None:
        """Who is to be told which results or streams changed: the text of a notification, or EVERYTHING."""
        self._tell_results = tell

    def hears(self, kind: Ring) -> bool:
        """Whether what is said of it from now on is heard, or rings when hearing is possible again."""
        return kind in self._hearing

    def count(self, kind: Ring) -> int:
        """How often it rang; ask before looking, then wait `after` it, and nothing is missed."""
        return self._counts[kind]

    async def after(self, kind: Ring, count: int, wait: float) -> None:
        """Return once it has rung more than `count` times, or after `wait` seconds."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        with self.attention(kind):
            while self._counts[kind] == count and (left := deadline - loop.time()) > 0:
                try:
                    async with asyncio.timeout(left):
                        await self._rung[kind].wait()
                except TimeoutError:
                    return

    def attention(self, kind: Ring) -> "Attention":
        """A context in which somebody waits."""
        return Attention(self, kind)

    def enter(self, kind: Ring) -> None:
        self._waiting += 1
        if kind not in self._wanted:
            self._wanted.add(kind)
            self._stirred.set()
        if self._listening is None or self._listening.done():
            self._listening = asyncio.get_running_loop().create_task(self._listen_always())

    def leave(self) -> None:
        self._waiting -= 1

    def ring(self, kind: Ring, text: str = EVERYTHING) -> None:
        """Wake this engine's waiters."""
        self._counts[kind] += 1
        self._rung[kind].set()
        self._rung[kind] = asyncio.Event()
        if kind is Ring.RESULTS:
            self._tell_results(text)

    async def close(self) -> None:
        """Wake all who wait here, for nothing will ring any more."""
        self._ring_all()
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait([self._listening])

    def _ring_all(self) -> None:
        for kind in Ring:
            self.ring(kind)

    async def _listen_always(self) -> None:
        pause = FIRST_RETRY
        while True:
            try:
                if self.is_polling or self._session.is_pooled:
                    await self._poll()
                else:
                    await self._listen()
                    pause = FIRST_RETRY
            except ConfigurationError as error:
                log.error("not listening: %s", error)
                return
            except Exception as error:
                if pause == FIRST_RETRY:
                    log.warning("cannot listen: %s; trying again until it works", error)
            await asyncio.sleep(pause)
            pause = min(pause * 2, SLOWEST_RETRY)

    async def _poll(self) -> None:
        self.is_polling = True
        while True:
            await asyncio.sleep(self._session.options.poll)
            if self._waiting:
                self._ring_all()

    async def _listen(self) -> None:
        """Listen until the connection breaks."""
        connection = await self._session.connect()
        if self._session.is_pooled:
            connection.terminate()
            return
        self._is_broken = False
        connection.add_termination_listener(lambda _: self._break())
        listened = set[Ring]()
        try:
            await connection.add_listener(self._session.statements.channel("echo"), self._heard)
            await self._listen_to_wanted(connection, listened)
            self._ring_all()
            if not await self._hears():
                log.warning(
                    "notifications do not arrive from %s (a transaction-pooling proxy?): polling every %g s instead. "
                    "Say ?pooled=yes to confirm, or connect to the server itself for less latency",
                    self._session.server,
                    self._session.options.poll,
                )
                self.is_polling = True
                return
            while not self._is_broken:
                self._stirred.clear()
                await self._listen_to_wanted(connection, listened)
                self._hearing = frozenset(listened)
                try:
                    async with asyncio.timeout(PING_EVERY):
                        await self._stirred.wait()
                except TimeoutError:
                    await connection.execute("SELECT 1", timeout=PING_EVERY)  # a half-open connection says nothing
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
            return  # the next one rings everything
        finally:
            self._hearing = frozenset()
            await end(connection)

    async def _listen_to_wanted(self, connection: AnyConnection, listened: set[Ring]) -> None:
        for kind in self._wanted - listened:
            await connection.add_listener(self._session.statements.channel(kind), self._heard)
            listened.add(kind)
            self.ring(kind)  # what was said of it before was not heard

    def _break(self) -> None:
        self._is_broken = True
        self._hearing = frozenset()
        self._stirred.set()

    async def _hears(self) -> bool:
        """Whether what the other connection says arrives here."""
        self._echo.clear()
        self._nonce = os.urandom(8).hex()
        await self._session.run(lambda connection: connection.rows("notice", self._nonce))
        try:
            async with asyncio.timeout(ECHO_WITHIN):
                await self._echo.wait()
        except TimeoutError:
            return self._is_broken  # broken is not deaf
        return True

    def _heard(self, _connection: object, _pid: int, channel: str, text: object) -> None:
        name = channel.rpartition(":")[2]
        if name == "echo":
            if text == self._nonce:
                self._echo.set()
            return
        self.ring(Ring(name), str(text))


class Attention:
    """Counts a waiter in and out."""

    def __init__(self, bell: Bell, kind: Ring) -> None:
        self._bell = bell
        self._kind = kind

    def __enter__(self) -> None:
        self._bell.enter(self._kind)

    def __exit__(self, *_: object) -> None:
        self._bell.leave()


def _nobody(_: str) -> None:
    """Before anybody waits for results."""
