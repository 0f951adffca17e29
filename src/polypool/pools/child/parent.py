"""Parent: a child's tie to the process that made it, for the case that nobody can say goodbye."""

import ctypes
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_it() -> None:
    """Have the kernel kill this process when its parent dies (Linux, prctl(2)).

    Elsewhere, and in any case, the end of the supervisor's socket ends the child; the kernel also reaches one whose
    interpreter is held up in C code.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
