"""Ids of tasks: unique without asking anyone, and in order of time, so that indexes grow at one end."""

import itertools
import os
import time

_LOW_62_BITS = (1 << 62) - 1
_VERSION_7 = 7 << 76
_VARIANT_RFC_9562 = 2 << 62


class IdSource:
    """Makes ids: UUIDs of version 7 (RFC 9562) as 32 hexadecimal digits.

    48 bits of Unix milliseconds and 12 bits of their fraction (RFC 9562 §6.2, method 3) put ids in order; 62 bits that
    count up from a random start, drawn anew in every process, keep them apart. Safe under threads and fork.
    """

    __slots__ = ("_count", "_process", "_start")

    def __init__(self) -> None:
        self._begin(os.getpid())

    def _begin(self, process: int) -> None:
        self._start = int.from_bytes(os.urandom(8), "big")
        self._count = itertools.count()
        self._process = process

    def __call__(self) -> str:
        process = os.getpid()
        if process != self._process:
            self._begin(process)  # a forked child must not count on from its parent's number
        milliseconds, nanoseconds = divmod(time.time_ns(), 1_000_000)
        fraction = (nanoseconds << 12) // 1_000_000
        unique = (self._start + next(self._count)) & _LOW_62_BITS
        return f"{milliseconds << 80 | _VERSION_7 | fraction << 64 | _VARIANT_RFC_9562 | unique:032x}"
