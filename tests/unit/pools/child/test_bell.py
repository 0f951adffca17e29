"""A bell wakes its sleeper, however ringing and falling asleep interleave."""

import signal
import threading
import time
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


class Interrupted(Exception):
    """Raised by the signal handler wherever the ringer happens to be."""


def test_a_ringer_that_is_interrupted_anywhere_leaves_nobody_asleep() -> None:
    bell, put, got, is_open = Bell(), deque[int](), [], [False]

    def sleeper() -> None:
        while True:
            bell.wait(lambda: put)
            while put:
                got.append(put.popleft())

    def interrupt(signum: int, frame: object) -> None:
        if is_open[0]:
            is_open[0] = False
            raise Interrupted

    threading.Thread(target=sleeper, daemon=True).start()
    former = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.000_2, 0.000_2)
    try:
        ends = time.monotonic() + 1.0
        while time.monotonic() < ends:
            try:
                is_open[0] = True
                put.append(1)
                bell.ring()
                is_open[0] = False
            except Interrupted:
                continue
    finally:
        is_open[0] = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
    put.append(2)
    bell.ring()
    ends = time.monotonic() + 5
    while not got or got[-1] != 2:
        assert time.monotonic() < ends, "the sleeper was left asleep"
        time.sleep(0.001)
