"""Outbox: everything a child tells its supervisor, in order. What piled up during one write goes with the next."""

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
        self._bell = Bell()
        self._sending = native.lock()

    def put(self, item: Up) -> None:
        self._items.append(item)
        self._bell.ring()

    def flush(self) -> None:
        """Send what is there from this thread; returns when it and what another thread was sending is out."""
        with self._sending:
            items = [self._items.popleft() for _ in range(len(self._items))]
            if items:
                self._send(frame(items))

    def write(self) -> None:
        """The sending thread's life."""
        while True:
            self._bell.wait(lambda: self._items)
            self.flush()

    def _send(self, data: bytes) -> None:
        try:
            self._end.sendall(data)
        except OSError:
            # The supervisor is gone: nobody wants this child's work any more.
            os._exit(1)
