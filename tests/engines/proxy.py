"""A proxy on the way to an engine, which can be made deaf, mute or cut, also in the middle of what it passes."""

import asyncio
import contextlib


class Proxy:
    """Passes bytes both ways between a free port of the loopback and a server, which may come and go."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._pairs: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._left: int | None = None
        self._is_left_for_answers = False
        self.is_away = False
        """Who comes is sent off at once."""
        self.sent_off = 0
        self.is_mute = False
        """Answers are thrown away: what was asked is done, but nobody hears so."""
        self.swallowed = 0
        self.asked = 0
        """Bytes of questions that went through."""
        self.cuts = 0
        """Connections that were cut in the middle of what they passed."""

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

    def cut_after(self, count: int, is_answer: bool) -> None:
        """Let so many more bytes of questions (or of answers) through, then end all connections: mostly in the middle
        of a frame."""
        self._left, self._is_left_for_answers = count, is_answer

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if self.is_away:
            self.sent_off += 1
            writer.transport.abort()
            return
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            try:
                to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self._target)
            except OSError:
                writer.transport.abort()  # nobody is there: to be noticed now, not after a timeout
                raise
            self._pairs |= {writer, to_writer}
            try:
                await asyncio.gather(self._pass(reader, to_writer, False), self._pass(to_reader, writer, True))
            finally:
                self._pairs -= {writer, to_writer}

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_answer: bool) -> None:
        try:
            while words := await reader.read(65536):
                if is_answer and self.is_mute:
                    self.swallowed += len(words)
                    continue
                allowed = self._allowed(len(words), is_answer)
                writer.write(words[:allowed])
                await writer.drain()
                self.asked += 0 if is_answer else allowed
                if allowed < len(words):
                    # In order, so that the other side has the first half of the frame before the end.
                    writer.close()
                    self.cuts += 1
                    self.cut()
        finally:
            writer.transport.abort()

    def _allowed(self, count: int, is_answer: bool) -> int:
        if self._left is None or is_answer != self._is_left_for_answers:
            return count
        if self._left > count:
            self._left -= count
            return count
        allowed, self._left = min(self._left, count - 1), None
        return allowed
