"""Page: a few numbers a child shares with its supervisor through memory, so that they survive its crash.

Which calls had begun decides whose run is counted when a child dies. A frame cannot tell: one sent too late is
lost with the child, one per call sent in time would double the traffic. A store into shared memory costs nothing
and outlives SIGKILL.
"""

import mmap
import os
import signal
import tempfile

SIZE = 16 * 1024
_BEGUN, _PULSE = 0, 1
DUMP = signal.SIGUSR2
"""Has a child write its stack to the page. Tasks must leave it alone."""
STACK_AT = 64
"""Behind the numbers: room for a stack that the child's signal handler writes while it can do nothing else."""


class Page:
    """Calls begin in the order of their numbers, so the last one's number says of each whether it had begun.

    Owns the descriptor.
    """

    __slots__ = ("_fd", "_map", "_numbers")

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._map = mmap.mmap(fd, SIZE)
        self._numbers = memoryview(self._map).cast("Q")

    @property
    def begun(self) -> int:
        """The number of the last call that began, 0 before the first."""
        return self._numbers[_BEGUN]

    @begun.setter
    def begun(self, number: int) -> None:
        self._numbers[_BEGUN] = number

    @property
    def pulse(self) -> int:
        """When the child's own threads last ran, in nanoseconds of the system's monotonic clock; 0: not watched."""
        return self._numbers[_PULSE]

    @pulse.setter
    def pulse(self, nanoseconds: int) -> None:
        self._numbers[_PULSE] = nanoseconds

    @property
    def stack(self) -> str:
        """What the child's `faulthandler` wrote; empty if nothing."""
        return self._map[STACK_AT:].rstrip(b"\0").decode("utf-8", "replace")

    def clear_stack(self) -> None:
        """Make room for another one. The file position is shared with the child."""
        self._map[STACK_AT:] = bytes(SIZE - STACK_AT)
        os.lseek(self._fd, STACK_AT, os.SEEK_SET)

    def close(self) -> None:
        os.close(self._fd)
        self._numbers.release()
        self._map.close()


def open_page() -> int:
    """A file descriptor of a new page of zeros, to be shared with one child."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("polypool-page", os.MFD_CLOEXEC)
    else:
        fd, path = tempfile.mkstemp(prefix="polypool-page-")
        os.unlink(path)
    os.ftruncate(fd, SIZE)
    return fd
