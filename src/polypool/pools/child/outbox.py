"""Outbox: everything a child tells its supervisor, in order. What piled up during one write goes with the next."""

import _socket
import os
from collections import deque
from typing import Any

from polypool import native
from polypool.pools.child.bell import Bell
from polypool.pools.wire import Up, frame


class Outbox:
    """`put` never blocks; a thread of its own (`write`) sends. While the interpreter is busy that thread gets its turn
    every few milliseconds, and a few hundred short calls' outcomes make one frame."""

    def __init__(self, end: Any) -> None:
        self._end = end
        self._items: deque[Up] = deque()
        self._unsent = b""
        """What the socket did not take of a frame."""
        self._bell = Bell()
        self._sending = native.lock()

    def put(self, item: Up) -> None:
        self._items.append(item)
        self._bell.ring()

    def put_last(self, item: Up) -> None:
        """The same where nothing else is under way: what the socket takes at once is sent from this thread, which
        spares the way over the other one."""
        self._items.append(item)
        if self._sending.acquire(False):
            try:
                data = self._next()
                self._unsent = data[self._send_at_once(data) :]
            finally:
                self._sending.release()
        if self._has_more():
            self._bell.ring()

    def flush(self) -> None:
        """Send what is there from this thread; returns when it and what another thread was sending is out."""
        with self._sending:
            data = self._next()
            if data:
                self._send(data)

    def write(self) -> None:
        """The sending thread's life."""
        while True:
            self._bell.wait(self._has_more)
            self.flush()

    def _has_more(self) -> bool:
        return bool(self._items or self._unsent)

    def _next(self) -> bytes:
        items = [self._items.popleft() for _ in range(len(self._items))]
        data, self._unsent = self._unsent, b""
        return data + frame(items) if items else data

    def _send_at_once(self, data: bytes) -> int:
        try:
            sent: int = self._end.send(data, _socket.MSG_DONTWAIT)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            os._exit(1)
        return sent

    def _send(self, data: bytes) -> None:
        try:
            self._end.sendall(data)
        except OSError:
            # The supervisor is gone: nobody wants this child's work any more.
            os._exit(1)
