"""The gevent executor: blocking-looking calls on greenlets, a thousand at a time. The process is monkey-patched."""

from collections import deque
from collections.abc import Callable, Sequence

import gevent
from gevent.event import Event

from polypool.core.outcome import Outcome
from polypool.pools.child.backlog import Backlog
from polypool.pools.child.call import Call
from polypool.pools.child.invoke import Invoker


class GeventExecutor:
    """Satisfies `core.pool_port.Executor`. The reading thread wakes the hub through an `async_` watcher."""

    has_loop = True

    def __init__(
        self, invoker: Invoker, backlog: Backlog, concurrency: int, finish: Callable[[Call, Outcome], None]
    ) -> None:
        self._invoker = invoker
        self._backlog = backlog
        self._concurrency = concurrency
        self._finish = finish
        self._errands: deque[Callable[[], None]] = deque()
        self._running = 0
        self._is_leaving = False
        self._left = Event()
        self._watcher = gevent.get_hub().loop.async_()
        self._watcher.start(self._wake)

    def serve(self) -> None:
        self._left.wait()

    def run(self, calls: Sequence[Call]) -> None:
        self._backlog.add(calls)
        self._watcher.send()

    def interrupt(self, call: Call, error: BaseException, is_cancel: bool) -> None:
        self.turn(lambda: self._throw(call, error, is_cancel))

    def turn(self, when_turned: Callable[[], None]) -> None:
        self._errands.append(when_turned)
        self._watcher.send()

    def stop(self) -> None:
        self.turn(self._leave)

    def _wake(self) -> None:
        """Runs in the hub."""
        while self._errands:
            self._errands.popleft()()
        self._start()

    def _start(self) -> None:
        while self._running < self._concurrency:
            call = self._backlog.begin()
            if call is None:
                return
            self._running += 1
            gevent.spawn(self._perform, call)

    def _perform(self, call: Call) -> None:
        call.handle = gevent.getcurrent()
        outcome = self._invoker.run(call)
        self._running -= 1
        self._finish(call, outcome)
        if len(self._backlog):
            self._start()
        elif self._is_leaving:
            self._leave()

    def _throw(self, call: Call, error: BaseException, is_cancel: bool) -> None:
        call.interrupt(error, is_cancel)
        if call.is_open and call.handle:
            call.pending, call.interruption = None, error
            call.handle.kill(error, block=False)

    def _leave(self) -> None:
        self._is_leaving = True
        if self._running == 0 and not len(self._backlog):
            self._left.set()
