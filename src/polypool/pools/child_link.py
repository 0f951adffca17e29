"""Child link: the supervisor's end of one child's socket. Everything of one turn of the loop leaves in one write."""

import asyncio
import socket
from collections.abc import Callable

from polypool.pools.wire import Down, Frames, Up, decode_up, frame

READ_BYTES = 256 * 1024


class ChildLink:
    """Frames to and from one child, without a task or a future per call."""

    def __init__(self, end: socket.socket, on_items: Callable[[list[Up]], None], on_eof: Callable[[], None]) -> None:
        end.setblocking(False)
        self._end = end
        self._fd = end.fileno()
        self._loop = asyncio.get_running_loop()
        self._on_items = on_items
        self._on_eof = on_eof
        self._frames = Frames()
        self._items: list[Down] = []
        self._unsent = bytearray()
        self._is_reading = True
        self._loop.add_reader(self._fd, self._read)

    def send(self, item: Down) -> None:
        """Have an item sent at the end of this turn of the loop."""
        if not self._items:
            self._loop.call_soon(self._flush)
        self._items.append(item)

    def drain(self) -> None:
        """Read what a child that is gone had still written."""
        while self._is_reading and self._read():
            pass

    def close(self) -> None:
        """Hang up. Safe to call twice."""
        if self._fd < 0:
            return
        self._stop_reading()
        self._loop.remove_writer(self._fd)
        self._end.close()
        self._fd = -1
        self._items.clear()
        self._unsent.clear()

    def _read(self) -> bool:
        try:
            data = self._end.recv(READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            data = b""
        if not data:
            self._stop_reading()
            self._on_eof()
            return False
        for body in self._frames.feed(data):
            self._on_items(decode_up(body))
        return True

    def _stop_reading(self) -> None:
        if self._is_reading:
            self._is_reading = False
            self._loop.remove_reader(self._fd)

    def _flush(self) -> None:
        items, self._items = self._items, []
        if self._fd < 0 or not items:
            return
        is_behind = bool(self._unsent)
        self._unsent += frame(items)
        if not is_behind:
            self._write()

    def _write(self) -> None:
        try:
            sent = self._end.send(self._unsent)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            # The child is gone; its exit is told by the template and its calls are ended then.
            self._unsent.clear()
            self._loop.remove_writer(self._fd)
            return
        del self._unsent[:sent]
        if self._unsent:
            self._loop.add_writer(self._fd, self._write)
        else:
            self._loop.remove_writer(self._fd)
