"""One connection, many calls under way at once: answers come in the order of the calls."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from redis import exceptions

from polypool.brokers.redis.check import check, warn
from polypool.brokers.redis.dial import Dialer
from polypool.brokers.redis.fault import mapped
from polypool.brokers.redis.scripts import Script, load
from polypool.brokers.redis.wire import Wire, Word
from polypool.core.error import EngineUnreachable

MOST_TRIES = 3
"""A call whose keys have moved, or whose script was flushed, is sent again so often."""


class Link:
    """Calls Lua verbs and plain commands; connects when there is none, and says EngineUnreachable when one breaks."""

    def __init__(self, dialer: Dialer, now: Callable[[], str]) -> None:
        self._dialer = dialer
        self._now = now
        self._prefix = f"{{{dialer.options.prefix}}}:"
        self._wire: Wire | None = None
        self._scripts: dict[str, Script] = {}
        self._waiting: deque[tuple[asyncio.Future[Any], float]] = deque()
        """Who waits for an answer, and until when."""
        self._patience: asyncio.TimerHandle | None = None
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

    def close(self) -> None:
        self._is_closed = True
        self._drop(EngineUnreachable(f"{self._dialer.address}: the engine was closed"))

    async def run(self, verb: str, words: Sequence[Word]) -> Any:
        """Run one verb. EngineUnreachable leaves open whether it was done."""
        tries = 0
        while True:
            if not self._is_ready:
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
                    self._drop(fault)  # after a failover the name may lead elsewhere
                raise fault from error

    async def _mend(self, error: exceptions.NoScriptError | exceptions.MovedError) -> None:
        """Somebody flushed the scripts, or the keys have moved to another node of the cluster."""
        if isinstance(error, exceptions.MovedError):
            self._follow(error)
        else:
            try:
                await self._load_scripts()
            except exceptions.RedisError as failed:
                raise self._mapped(failed) from failed

    async def _connected(self) -> None:
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
                self._follow(error)
                if tries == MOST_TRIES:
                    raise self._mapped(error) from error
            except Exception as error:
                fault = self._mapped(error)
                self._drop(fault)
                raise fault from error
            except BaseException:
                self._drop(EngineUnreachable("cancelled while connecting"))
                raise

    async def _connect(self) -> None:
        self._wire = await self._dialer.dial(self._answered, self._lost)
        version, life = await check(self._ask, self._dialer.address, self._prefix)
        self._scripts = load(version)
        await self._load_scripts()
        # Before any verb of this connection, so that nobody is thought dead for what the server was away.
        await self._ask("EVALSHA", self._scripts["restarted"].digest, 1, self._prefix, self._now(), life)
        if self._wire is None:  # lost since the last answer: nobody would ever connect again
            raise exceptions.ConnectionError("the connection was lost")
        self._is_ready = True

    async def _load_scripts(self) -> None:
        await asyncio.gather(*(self._ask("SCRIPT", "LOAD", script.text) for script in self._scripts.values()))

    def _follow(self, error: exceptions.MovedError) -> None:
        self._dialer.move(error)
        self._drop(self._mapped(error))

    def _ask(self, *words: Word) -> "asyncio.Future[Any]":
        """Send a command now; its answer."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        if self._wire is None:
            answer.set_exception(exceptions.ConnectionError("the connection was lost"))
            return answer
        until = loop.time() + self._dialer.options.timeout
        self._waiting.append((answer, until))
        if self._patience is None:
            self._patience = loop.call_at(until, self._look_for_silence)
        self._wire.send(words)
        return answer

    def _answered(self, answer: Any) -> None:
        waiting, _ = self._waiting.popleft()
        if isinstance(answer, exceptions.ConnectionError):
            # Some refusals (loading, too many clients) are answers: the line is of no use.
            self._waiting.appendleft((waiting, 0.0))
            self._drop(answer)
        elif waiting.done():
            return  # whoever asked has gone
        elif isinstance(answer, Exception):
            waiting.set_exception(answer)
        else:
            waiting.set_result(answer)

    def _lost(self, error: Exception | None) -> None:
        # The system's own errors (reset, broken pipe) are to be told from those of a caller.
        self._drop(exceptions.ConnectionError(str(error) if error else "the server hung up"))

    def _look_for_silence(self) -> None:
        """The first in line must get its answer in time; one timer for all of them."""
        self._patience = None
        if not self._waiting:
            return
        loop, (_, until) = asyncio.get_running_loop(), self._waiting[0]
        if until > loop.time():
            self._patience = loop.call_at(until, self._look_for_silence)
        else:
            self._drop(exceptions.TimeoutError(f"no answer within {self._dialer.options.timeout:g} s"))

    def _drop(self, error: Exception) -> None:
        self._is_ready = False
        wire, self._wire = self._wire, None
        waiting, self._waiting = self._waiting, deque()
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        for answer, _ in waiting:
            if not answer.done():
                answer.set_exception(error)
                answer.exception()  # whoever waited may have gone
        if wire is not None:
            wire.close()

    def _mapped(self, error: BaseException) -> Exception:
        return mapped(error, self._dialer.address) if isinstance(error, Exception) else EngineUnreachable(str(error))
