"""Wire: one connection that has logged in, read by callback: no task, no stream between bytes and answers."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import hiredis

from polypool.brokers.redis.fault import recognised

Word = str | bytes | int | float


class Wire(asyncio.Protocol):
    """Sends commands and hands over answers in their order; what the server refuses with comes as an exception."""

    def __init__(
        self, driver: Any, on_answer: Callable[[Any], None], on_lost: Callable[[Exception | None], None]
    ) -> None:
        self._driver = driver
        """Kept: its writer would close the transport when it is collected."""
        self._transport: asyncio.Transport = driver._writer.transport
        self._reader = hiredis.Reader(replyError=recognised)
        self._on_answer = on_answer
        self._on_lost = on_lost
        self._transport.set_protocol(self)

    def send(self, words: tuple[Word, ...]) -> None:
        """Hand a command to the system; whole, or the connection is lost."""
        self._transport.write(hiredis.pack_command(words))  # type: ignore[arg-type]  # its stub means tuples of one

    def close(self) -> None:
        """Hang up at once; `on_lost` is not called."""
        self._on_answer = self._on_lost = _ignore
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        reader = self._reader
        reader.feed(data)
        try:
            while (answer := reader.gets()) is not False:
                self._on_answer(answer)
        except hiredis.HiredisError as error:
            self._lose(cast("Exception", error))

    def connection_lost(self, error: Exception | None) -> None:
        self._lose(error)

    def _lose(self, error: Exception | None) -> None:
        on_lost = self._on_lost
        self.close()
        on_lost(error)


def _ignore(_: Any) -> None:
    pass
