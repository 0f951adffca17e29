"""A bell wakes its sleeper, however ringing and falling asleep interleave."""

import threading
import time
from collections import deque
from typing import Any

import pytest

from polypool.pools.child.bell import Bell


def test_nothing_put_down_is_ever_slept_over() -> None:
    bell, put, got = Bell(), deque[int](), []

    def sleeper() -> None:
        while len(got) < 20_000:
            bell.wait(lambda: put)
            while put:
                got.append(put.popleft())

    def ringer(start: int) -> None:
        for number in range(start, start + 10_000):
            put.append(number)
            bell.ring()

    threads = [threading.Thread(target=sleeper, daemon=True)]
    threads += [threading.Thread(target=ringer, args=(start,), daemon=True) for start in (0, 10_000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
    assert sorted(got) == list(range(20_000))


class Interrupted(Exception):
    """What a cancelled task has raised in it, wherever it happens to be."""


class InterruptedLatch:
    """A lock that the first ringer does not get to release."""

    def __init__(self, lock: Any) -> None:
        self._lock = lock
        self._is_first = True

    def locked(self) -> bool:
        found: bool = self._lock.locked()
        return found

    def acquire(self) -> bool:
        taken: bool = self._lock.acquire()
        return taken

    def release(self) -> None:
        if self._is_first:
            self._is_first = False
            raise Interrupted
        self._lock.release()


def test_a_ringer_that_is_interrupted_leaves_the_sleeper_to_the_next_one() -> None:
    bell, put, woken = Bell(), deque[int](), threading.Event()
    bell._latch = InterruptedLatch(bell._latch)  # type: ignore[assignment]

    def sleeper() -> None:
        while not put:
            bell.wait(lambda: put)
        woken.set()

    threading.Thread(target=sleeper, daemon=True).start()
    while not bell._is_asleep:
        time.sleep(0)
    put.append(1)
    with pytest.raises(Interrupted):
        bell.ring()
    assert not woken.is_set()
    bell.ring()
    assert woken.wait(60)
