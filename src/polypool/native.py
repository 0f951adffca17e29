"""Threads, locks and answers as the operating system has them, whatever gevent or eventlet patched.

polypool keeps its I/O on threads of its own. In a process whose standard library was monkey-patched
those must be real threads with real locks, and whoever waits for them must wait the way of its own
world: a thread on a lock, a coroutine on a future, a greenlet on its hub. `Answer` is that meeting point.
"""

import _thread
import asyncio
import os
import sys
from collections import deque
from collections.abc import Callable, Generator
from typing import Any


def _original(module: str, name: str) -> Any:
    """A function of the standard library as it was before any monkey-patching."""
    if "gevent.monkey" in sys.modules:
        from gevent import monkey

        return monkey.get_original(module, name)
    if "eventlet.patcher" in sys.modules:
        from eventlet import patcher

        return getattr(patcher.original(module), name)
    return getattr(sys.modules[module], name)


def greenlets() -> str | None:
    """Which library turned this process's threads into greenlets: "gevent", "eventlet" or None."""
    gevent = sys.modules.get("gevent.monkey")
    if gevent is not None and gevent.is_module_patched("threading"):
        return "gevent"
    eventlet = sys.modules.get("eventlet.patcher")
    if eventlet is not None and eventlet.is_monkey_patched("thread"):
        return "eventlet"
    return None


def lock() -> _thread.LockType:
    """A real lock. Hold it only for a few instructions: it stops greenlets too."""
    made: _thread.LockType = _original("_thread", "allocate_lock")()
    return made


def thread_id() -> int:
    """Which real thread this is; all greenlets of a thread get the same."""
    number: int = _original("_thread", "get_ident")()
    return number


def start_thread(function: Callable[[], None]) -> None:
    """Run a function in a real daemon thread, also in a patched process."""
    if greenlets() is None:
        import threading

        threading.Thread(target=function, name=f"polypool-{function.__qualname__}", daemon=True).start()
    else:
        _original("_thread", "start_new_thread")(function, ())


class Answer:
    """A value that another thread will set, to be waited for from any thread, greenlet or coroutine."""

    __slots__ = ("_callbacks", "_error", "_is_set", "_lock", "_value", "is_given_up", "when_given_up")

    def __init__(self) -> None:
        self._lock = lock()
        self._callbacks: list[Callable[[], None]] = []
        self._is_set = False
        self._value: Any = None
        self._error: BaseException | None = None
        self.is_given_up = False
        self.when_given_up: Callable[[Answer], None] | None = None
        """Told once nobody waits any more. Must not block or raise."""

    def set(self, value: Any = None, error: BaseException | None = None) -> None:
        """Give the value, or the error to raise at the waiter. The first call counts."""
        with self._lock:
            if self._is_set:
                return
            self._value, self._error, self._is_set = value, error, True
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    def follow(self, other: "Answer") -> None:
        """Take over what another was given."""
        self.set(other._value, other._error)

    def is_set(self) -> bool:
        return self._is_set

    def add_callback(self, callback: Callable[[], None]) -> None:
        """Call back once set, from the setting thread; at once if it is set already. Must not block or raise."""
        with self._lock:
            if not self._is_set:
                self._callbacks.append(callback)
                return
        callback()

    def give_up(self) -> None:
        """Nobody waits for this any more: who was to set it need not. A wait that is torn down does so by itself, not
        one that ran into its timeout."""
        self.is_given_up = True
        if not self._is_set and self.when_given_up is not None:
            self.when_given_up(self)

    def result(self, timeout: float | None = None) -> Any:
        """Wait as the calling world waits; TimeoutError after `timeout` seconds."""
        if not self._is_set and not self._park(timeout):
            raise TimeoutError(f"no answer within {timeout} s")
        if self._error is not None:
            raise self._error
        return self._value

    def _park(self, timeout: float | None) -> bool:
        try:
            return _PARKING[greenlets()](self.add_callback, timeout)
        except BaseException:  # a killed greenlet, a signal
            self.give_up()
            raise

    def __await__(self) -> Generator[Any, None, Any]:
        if not self._is_set:
            loop = asyncio.get_running_loop()
            arrived = loop.create_future()

            def wake() -> None:
                if not arrived.done():
                    arrived.set_result(None)

            def call_loop() -> None:
                # A loop that was closed meanwhile has nobody left who waits.
                try:
                    loop.call_soon_threadsafe(wake)
                except RuntimeError:
                    if not loop.is_closed():
                        raise

            self.add_callback(call_loop)
            try:
                yield from arrived
            except BaseException:  # cancelled
                self.give_up()
                raise
        if self._error is not None:
            raise self._error
        return self._value


def _park_thread(when_set: Callable[[Callable[[], None]], None], timeout: float | None) -> bool:
    parked = lock()
    parked.acquire()
    when_set(parked.release)
    return parked.acquire(timeout=-1 if timeout is None else max(timeout, 0.0))


def _park_gevent(when_set: Callable[[Callable[[], None]], None], timeout: float | None) -> bool:
    import gevent

    hub = gevent.get_hub()
    watcher = hub.loop.async_()
    is_set = deque[bool](maxlen=1)

    def wake() -> None:
        is_set.append(True)
        watcher.send()

    # Start listening before asking to be woken: a send to a watcher that is not active is lost.
    try:
        with gevent.Timeout(timeout, False):
            waiter = gevent.hub.Waiter(hub)
            watcher.start(waiter.switch, None)
            when_set(wake)
            waiter.get()
    finally:
        watcher.stop()
        # Closed by the hub's garbage collection, not here: the setter may be about to send.
    return bool(is_set)


def _park_eventlet(when_set: Callable[[Callable[[], None]], None], timeout: float | None) -> bool:
    from eventlet import hubs
    from eventlet.timeout import Timeout

    write = _original("os", "write")
    reading, writing = os.pipe()
    guard, is_open, is_set = lock(), [True], [False]

    def wake() -> None:
        with guard:
            is_set[0] = True
            if is_open[0]:
                write(writing, b"!")

    try:
        when_set(wake)
        with Timeout(timeout, False):
            hubs.trampoline(reading, read=True)
    finally:
        with guard:
            is_open[0] = False
            os.close(reading)
            os.close(writing)
    return is_set[0]


_PARKING: dict[str | None, Callable[[Callable[[Callable[[], None]], None], float | None], bool]] = {
    None: _park_thread,
    "gevent": _park_gevent,
    "eventlet": _park_eventlet,
}
