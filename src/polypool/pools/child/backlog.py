"""Backlog: calls a child holds and has not begun, in the order of their numbers."""

import time
from collections import deque
from collections.abc import Collection, Iterable

from polypool import native
from polypool.pools.child.call import Call
from polypool.pools.page import Page


class Backlog:
    """Calls begin here and nowhere else: in order, each noted on the page before user code sees it."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._calls: deque[Call] = deque()
        self._lock = native.lock()

    def __len__(self) -> int:
        return len(self._calls)

    def add(self, calls: Iterable[Call]) -> None:
        with self._lock:
            self._calls.extend(calls)

    def begin(self) -> Call | None:
        """The next call, from now on counted as run; None when there is none."""
        with self._lock:
            if not self._calls:
                return None
            call = self._calls.popleft()
            self._page.begun = call.number
        call.begun_at = time.monotonic()
        return call

    def remove(self, numbers: Collection[int]) -> list[int]:
        """Take out those of these that have not begun; which they were."""
        with self._lock:
            removed = [call.number for call in self._calls if call.number in numbers]
            if removed:
                self._calls = deque(call for call in self._calls if call.number not in numbers)
        return removed
