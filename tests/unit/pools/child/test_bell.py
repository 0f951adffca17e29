"""A bell wakes its sleeper, however ringing and falling asleep interleave."""

import threading
from collections import deque

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
        thread.join(30)
    assert sorted(got) == list(range(20_000))
