"""A proxy on the way to an engine, which a test can make deaf, mute or cut."""

import asyncio
import contextlib


class Proxy:
    """Passes bytes both ways between a free port of the loopback and a server."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._pairs: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.is_mute = False
        """Answers are thrown away: what was asked is done, but nobody hears so."""
        self.swallowed = 0

    async def __aenter__(self) -> "Proxy":
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """End all connections at once."""
        for writer in self._pairs:
            writer.transport.abort()
        self._pairs.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self._target)
            self._pairs |= {writer, to_writer}
            await asyncio.gather(self._pass(reader, to_writer, False), self._pass(to_reader, writer, True))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_answer: bool) -> None:
        try:
            while words := await reader.read(65536):
                if is_answer and self.is_mute:
                    self.swallowed += len(words)
                    continue
                writer.write(words)
                await writer.drain()
        finally:
            writer.transport.abort()
