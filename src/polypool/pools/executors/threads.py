"""The threads executor: blocking calls, each on a thread of its own out of a bounded number."""

import ctypes
import queue
import threading
import time
from collections.abc import Callable, Sequence

from polypool.core.outcome import Outcome
from polypool.pools.child.backlog import Backlog
from polypool.pools.child.bell import Bell
from polypool.pools.child.call import Call
from polypool.pools.child.invoke import Invoker, judge


class ThreadsExecutor:
    """Satisfies `core.pool_port.Executor`. Threads start as calls come and stay.

    A thread is interrupted between two of its Python instructions (PyThreadState_SetAsyncExc); one that waits
    inside C code notices when it comes back from there.
    """

    has_loop = False

    def __init__(
        self, invoker: Invoker, backlog: Backlog, concurrency: int, finish: Callable[[Call, Outcome], None]
    ) -> None:
        self._invoker = invoker
        self._backlog = backlog
        self._concurrency = concurrency
        self._finish = finish
        self._tickets: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._busy: dict[int, Call | None] = {}
        """What each thread runs; None while it fetches it."""
        self._interrupting: Call | None = None
        self._is_leaving = False
        self._bell = Bell()

    def serve(self) -> None:
        while not self._is_leaving:
            self._bell.wait(lambda: self._is_leaving)
        for _ in self._threads:
            self._tickets.put(False)
        for thread in self._threads:
            thread.join()

    def run(self, calls: Sequence[Call]) -> None:
        self._backlog.add(calls)
        wanted = min(self._concurrency, len(self._busy) + len(self._backlog))
        while len(self._threads) < wanted:
            name = f"polypool-thread-{len(self._threads) + 1}"
            thread = threading.Thread(target=self._work, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()
        for _ in calls:
            self._tickets.put(True)

    def interrupt(self, call: Call, error: BaseException, is_cancel: bool) -> None:
        call.interrupt(error, is_cancel)
        # See `_disarm`: it waits while this name stands here.
        self._interrupting = call
        if call.is_open and self._busy.get(call.handle) is call:
            call.pending = None
            call.was_interrupted = True
            _raise_in(call.handle, type(error))
            call.interruption = error
        self._interrupting = None

    def turn(self, when_turned: Callable[[], None]) -> None:
        raise NotImplementedError("no loop to block")

    def stop(self) -> None:
        self._is_leaving = True
        self._bell.ring()

    def _work(self) -> None:
        thread = threading.get_ident()
        while self._tickets.get():
            # Busy before it takes a call out of the backlog: whoever counts both must not miss one that has begun, or
            # the next call would stand behind it though there is room for another thread.
            self._busy[thread] = None
            call = self._backlog.begin()
            if call is None:
                del self._busy[thread]
                continue  # it was recalled
            call.handle = thread
            self._busy[thread] = call
            try:
                outcome = self._invoker.run(call)
            except BaseException as late:
                # Raised from outside in the moment in which the function had just returned.
                outcome = judge(call, late)
            self._disarm(thread, call)
            self._finish(call, outcome)

    def _disarm(self, thread: int, call: Call) -> None:
        """See to it that nothing meant for this call is raised in the next one."""
        while True:
            try:
                self._busy.pop(thread, None)
                while self._interrupting is call:
                    time.sleep(0)
                if call.was_interrupted:
                    _raise_in(thread, None)
                return
            except BaseException:
                continue  # here it is; nobody waits for it any more


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    """Have a thread raise this at its next instruction; None takes back what was not raised yet."""
    what = ctypes.py_object(error) if error is not None else None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), what)
