"""The wire hands over answers in their order, however the bytes come, and tells its end once."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis import exceptions

from polypool.brokers.redis.wire import Wire


class Driver:
    """As much of the driver's connection as a wire uses."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer


class Line:
    """A wire, the server's end of it, and what the wire told."""

    def __init__(self) -> None:
        self.answers: list[Any] = []
        self.ends: list[Exception | None] = []
        self._came: asyncio.Queue[None] = asyncio.Queue()

    async def open(self) -> None:
        accepted: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
        self._server = await asyncio.start_server(lambda *ends: accepted.put_nowait(ends), "127.0.0.1", 0)
        _, writer = await asyncio.open_connection(*self._server.sockets[0].getsockname())
        self.wire = Wire(Driver(writer), self._answered, self._ended)
        self.reader, self.writer = await accepted.get()

    def close(self) -> None:
        self.wire.close()
        self.writer.close()
        self._server.close()

    async def until(self, count: int) -> None:
        """Wait for so many answers or ends more."""
        async with asyncio.timeout(20):
            for _ in range(count):
                await self._came.get()

    def _answered(self, answer: Any) -> None:
        self.answers.append(answer)
        self._came.put_nowait(None)

    def _ended(self, error: Exception | None) -> None:
        self.ends.append(error)
        self._came.put_nowait(None)


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    made = Line()
    await made.open()
    yield made
    made.close()


async def test_answers_that_come_in_pieces_are_put_together_in_their_order(line: Line) -> None:
    for byte in b":7\r\n$5\r\nhello\r\n*2\r\n$-1\r\n:1\r\n-OOM no room\r\n+OK\r\n":
        line.writer.write(bytes([byte]))
        await line.writer.drain()
    await line.until(5)
    seven, hello, pair, refusal, fine = line.answers
    assert (seven, hello, pair, fine) == (7, b"hello", [None, 1], b"OK")
    assert isinstance(refusal, exceptions.OutOfMemoryError)


async def test_commands_leave_whole_and_in_order(line: Line) -> None:
    line.wire.send(("SET", b"k\xff", 1))
    line.wire.send(("PING",))
    expected = b"*3\r\n$3\r\nSET\r\n$2\r\nk\xff\r\n$1\r\n1\r\n*1\r\n$4\r\nPING\r\n"
    assert await asyncio.wait_for(line.reader.readexactly(len(expected)), 20) == expected


async def test_its_end_is_told_once(line: Line) -> None:
    line.writer.transport.abort()
    await line.until(1)
    line.wire.close()
    assert len(line.ends) == 1


async def test_what_is_no_answer_ends_it(line: Line) -> None:
    line.writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await line.until(1)
    assert line.answers == [] and isinstance(line.ends[0], Exception)


async def test_after_it_was_closed_it_tells_nothing(line: Line) -> None:
    line.wire.close()
    assert await asyncio.wait_for(line.reader.read(), 20) == b""
    assert (line.answers, line.ends) == ([], [])
