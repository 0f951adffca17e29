"""One connection, many calls under way at once: answers come in the order of the calls."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from redis import exceptions
from redis.asyncio.connection import Connection, SSLConnection, UnixDomainSocketConnection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from polypool.brokers.redis.check import check, warn
from polypool.brokers.redis.fault import mapped
from polypool.brokers.redis.options import Options
from polypool.brokers.redis.scripts import Script, load
from polypool.core.error import EngineUnreachable

MOST_TRIES = 3
"""A call whose keys have moved, or whose script was flushed, is sent again so often."""

Word = str | bytes | int | float
AnyConnection = Connection | UnixDomainSocketConnection


class Dialer:
    """Makes connections to where the keys are, which in a cluster is found out on the way."""

    def __init__(self, options: Options) -> None:
        self.options = options
        parsed: dict[str, Any] = dict(parse_url(options.url))
        self._class: Any = parsed.pop("connection_class", Connection)
        if "path" in parsed:
            self._class = UnixDomainSocketConnection
        # Without decoding, without the driver's own tries: whoever asked decides whether to ask again.
        self._arguments = parsed | {"protocol": 2, "socket_connect_timeout": options.timeout}
        self._arguments["retry"] = Retry(NoBackoff(), 0)
        self._arguments["socket_timeout"] = None  # silence is watched over by who waits for an answer
        if self._class in (Connection, SSLConnection):
            self._arguments["socket_keepalive"] = True
        if self._class is UnixDomainSocketConnection:
            self._arguments.pop("socket_connect_timeout")

    @property
    def _is_tls(self) -> bool:
        return issubclass(self._class, SSLConnection)

    @property
    def address(self) -> str:
        return self.options.address

    async def dial(self) -> AnyConnection:
        """A connection that has logged in."""
        connection: AnyConnection = self._class(**self._arguments)
        try:
            async with asyncio.timeout(self.options.timeout):
                await connection.connect()  # type: ignore[no-untyped-call]
        except TimeoutError:
            await connection.disconnect(nowait=True)
            hint = "; is it a TLS port? A plain one leaves rediss:// without an answer" if self._is_tls else ""
            raise exceptions.TimeoutError(f"no connection within {self.options.timeout:g} s{hint}") from None
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return connection

    def move(self, error: exceptions.MovedError) -> None:
        """The cluster says that the keys are with another node."""
        if error.host:
            self._arguments["host"] = error.host
        self._arguments["port"] = error.port


class Link:
    """Calls Lua verbs and plain commands; connects when there is none, and says EngineUnreachable when one breaks."""

    def __init__(self, dialer: Dialer, now: Callable[[], str]) -> None:
        self._dialer = dialer
        self._now = now
        self._prefix = f"{{{dialer.options.prefix}}}:"
        self._connection: AnyConnection | None = None
        self._scripts: dict[str, Script] = {}
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._reading: asyncio.Task[None] | None = None
        self._outgoing: list[bytes] = []
        self._sending: asyncio.Task[None] | None = None
        self._connecting = asyncio.Lock()
        self._is_ready = False
        self._is_closed = False

    def key(self, name: str) -> str:
        return self._prefix + name

    async def open(self) -> None:
        """Connect and look whether the server will do."""
        self._is_closed = False
        await self._connected()
        try:
            await warn(self._ask, self._dialer.address)
        except exceptions.RedisError as error:
            raise self._mapped(error) from error

    async def close(self) -> None:
        self._is_closed = True
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.cancel()
            await asyncio.wait([reading])
        await self._drop(EngineUnreachable(f"{self._dialer.address}: the engine was closed"))

    async def run(self, verb: str, words: Sequence[Word]) -> Any:
        """Run one verb. EngineUnreachable leaves open whether it was done."""
        tries = 0
        while True:
            await self._connected()
            script = self._scripts[verb]
            tries += 1
            try:
                return await self._ask("EVALSHA", script.digest, 1, self._prefix, self._now(), *words)
            except (exceptions.NoScriptError, exceptions.MovedError) as error:
                if tries == MOST_TRIES:
                    raise self._mapped(error) from error
                await self._mend(error)  # nothing was done
            except exceptions.RedisError as error:
                fault = self._mapped(error)
                if isinstance(error, exceptions.ReadOnlyError):
                    await self._drop(fault)  # after a failover the name may lead elsewhere
                raise fault from error

    async def _mend(self, error: exceptions.NoScriptError | exceptions.MovedError) -> None:
        """Somebody flushed the scripts, or the keys have moved to another node of the cluster."""
        if isinstance(error, exceptions.MovedError):
            await self._follow(error)
        else:
            try:
                await self._load_scripts()
            except exceptions.RedisError as failed:
                raise self._mapped(failed) from failed

    async def _connected(self) -> None:
        if not self._is_ready:
            async with self._connecting:
                await self._get_ready()

    async def _get_ready(self) -> None:
        if self._is_ready:
            return  # somebody else was faster
        if self._is_closed:
            raise EngineUnreachable(f"{self._dialer.address}: the engine was closed")
        for tries in range(1, MOST_TRIES + 1):
            try:
                await self._connect()
                return
            except exceptions.MovedError as error:
                await self._follow(error)
                if tries == MOST_TRIES:
                    raise self._mapped(error) from error
            except Exception as error:
                fault = self._mapped(error)
                await self._drop(fault)
                raise fault from error
            except BaseException:
                await self._drop(EngineUnreachable("cancelled while connecting"))
                raise

    async def _connect(self) -> None:
        connection = await self._dialer.dial()
        self._connection = connection
        self._reading = asyncio.get_running_loop().create_task(self._read(connection))
        version = await check(self._ask, self._dialer.address, self._prefix)
        self._scripts = load(version)
        await self._load_scripts()
        self._is_ready = True

    async def _load_scripts(self) -> None:
        await asyncio.gather(*(self._ask("SCRIPT", "LOAD", script.text) for script in self._scripts.values()))

    async def _follow(self, error: exceptions.MovedError) -> None:
        self._dialer.move(error)
        await self._drop(self._mapped(error))

    async def _ask(self, *words: Word) -> Any:
        """Send a command now and wait for its answer."""
        connection = self._connection
        if connection is None:
            raise exceptions.ConnectionError("the connection was lost")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        self._waiting.append(answer)
        if len(self._waiting) == 1:
            self._watch(loop)
        self._outgoing += connection.pack_command(*words)
        if self._sending is None:
            # In a task of its own: a caller who is cancelled must not leave half a command on the line.
            self._sending = loop.create_task(self._send(connection))
        return await answer

    async def _send(self, connection: AnyConnection) -> None:
        """Hand over what piled up, in order."""
        try:
            while self._outgoing and self._connection is connection:
                outgoing, self._outgoing = self._outgoing, []
                await connection.send_packed_command(outgoing, check_health=False)
            if self._connection is connection:
                self._sending = None
        except Exception as error:
            if self._connection is connection:
                await self._drop(error)

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """See to it that the first in line gets its answer in time."""
        first = self._waiting[0]

        def look() -> None:
            if self._waiting and self._waiting[0] is first and self._reading is not None:
                self._reading.cancel("silent")

        timer = loop.call_later(self._dialer.options.timeout, look)
        first.add_done_callback(lambda _: timer.cancel())

    async def _read(self, connection: AnyConnection) -> None:
        loop = asyncio.get_running_loop()
        fault: Exception
        try:
            while True:
                try:
                    answer = await connection.read_response(disable_decoding=True, disconnect_on_error=False)
                    error = None
                except exceptions.ConnectionError as failed:
                    # Some refusals (loading, too many clients) are answers of this class too: the line is of no use.
                    raise failed
                except exceptions.ResponseError as refused:
                    answer, error = None, _recognised(refused)
                waiting = self._waiting.popleft()
                if not waiting.done():
                    if error is None:
                        waiting.set_result(answer)
                    else:
                        waiting.set_exception(error)
                if self._waiting:
                    self._watch(loop)
        except asyncio.CancelledError:
            fault = exceptions.TimeoutError(f"no answer within {self._dialer.options.timeout:g} s")
        except Exception as error:
            fault = error
        if self._connection is connection:
            await self._drop(fault)

    async def _drop(self, error: Exception) -> None:
        self._is_ready = False
        connection, self._connection = self._connection, None
        waiting, self._waiting = self._waiting, deque()
        reading, self._reading = self._reading, None
        sending, self._sending = self._sending, None
        self._outgoing = []
        for answer in waiting:
            if not answer.done():
                answer.set_exception(error)
                answer.exception()  # whoever waited may have gone
        for task in (reading, sending):
            if task is not None and task is not asyncio.current_task():
                task.cancel()
        if connection is not None:
            await connection.disconnect(nowait=True)

    def _mapped(self, error: BaseException) -> Exception:
        return mapped(error, self._dialer.address) if isinstance(error, Exception) else EngineUnreachable(str(error))


def _recognised(refused: exceptions.ResponseError) -> exceptions.ResponseError:
    """Older releases of the driver know the answers of a cluster only in its cluster client."""
    kind, _, rest = str(refused).partition(" ")
    return exceptions.MovedError(rest) if kind == "MOVED" else refused
