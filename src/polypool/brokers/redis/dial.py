"""Dialer: makes connections that have logged in."""

import asyncio
from collections.abc import Callable
from typing import Any

from redis import exceptions
from redis.asyncio.connection import Connection, SSLConnection, UnixDomainSocketConnection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from polypool.brokers.redis.options import Options
from polypool.brokers.redis.wire import Wire


class Dialer:
    """Knows where the keys are, which in a cluster is found out on the way."""

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

    async def dial(self, on_answer: Callable[[Any], None], on_lost: Callable[[Exception | None], None]) -> Wire:
        """A connection that has logged in; its answers, and once its end, are told by call."""
        connection: Any = self._class(**self._arguments)
        try:
            async with asyncio.timeout(self.options.timeout):
                await connection.connect()
        except TimeoutError:
            await connection.disconnect(nowait=True)
            hint = "; is it a TLS port? A plain one leaves rediss:// without an answer" if self._is_tls else ""
            raise exceptions.TimeoutError(f"no connection within {self.options.timeout:g} s{hint}") from None
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return Wire(connection, on_answer, on_lost)

    def move(self, error: exceptions.MovedError) -> None:
        """The cluster says that the keys are with another node."""
        if error.host:
            self._arguments["host"] = error.host
        self._arguments["port"] = error.port
