"""Bell: one thread sleeps until another has put something down for it, also where gevent or eventlet patched locks."""

from collections.abc import Callable

from polypool import native


class Bell:
    """For one sleeper and any number of ringers. Ringing one that is awake costs a look at a flag."""

    __slots__ = ("_guard", "_is_asleep", "_latch")

    def __init__(self) -> None:
        self._guard = native.lock()
        self._latch = native.lock()
        self._latch.acquire()
        self._is_asleep = False

    def ring(self) -> None:
        """Call after putting something down."""
        if self._is_asleep:
            with self._guard:
                if self._is_asleep:
                    # In this order: a task that is interrupted right here must not leave the sleeper asleep for ever.
                    if self._latch.locked():
                        self._latch.release()
                    self._is_asleep = False

    def wait(self, is_needed: Callable[[], object]) -> None:
        """Sleep until rung, unless there is something to do. May return for nothing."""
        with self._guard:  # not between the two steps of a ring
            self._is_asleep = True
        if is_needed():
            with self._guard:
                if self._is_asleep:
                    self._is_asleep = False
                    return
        self._latch.acquire()
        self._is_asleep = False
