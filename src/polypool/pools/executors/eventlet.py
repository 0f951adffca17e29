"""The eventlet executor: as gevent's, on eventlet's hub. The process is monkey-patched."""

from collections import deque
from collections.abc import Callable, Sequence

import eventlet
from eventlet import hubs, patcher
from eventlet.greenthread import getcurrent

from polypool.core.outcome import Outcome
from polypool.pools.child.backlog import Backlog
from polypool.pools.child.call import Call
from polypool.pools.child.invoke import Invoker


class EventletExecutor:
    """Satisfies `core.pool_port.Executor`. The reading thread wakes the hub by a byte in a pipe."""

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
        self._is_rung = False
        self._os = patcher.original("os")
        self._ear, self._mouth = self._os.pipe()

    def serve(self) -> None:
        while not (self._is_leaving and self._running == 0 and not len(self._backlog)):
            hubs.trampoline(self._ear, read=True)
            self._os.read(self._ear, 4096)
            self._is_rung = False
            while self._errands:
                self._errands.popleft()()
            self._start()

    def run(self, calls: Sequence[Call]) -> None:
        self._backlog.add(calls)
        self._ring()

    def interrupt(self, call: Call, error: BaseException, is_cancel: bool) -> None:
        self.turn(lambda: self._throw(call, error, is_cancel))

    def turn(self, when_turned: Callable[[], None]) -> None:
        self._errands.append(when_turned)
        self._ring()

    def stop(self) -> None:
        self.turn(self._leave)

    def _ring(self) -> None:
        if not self._is_rung:
            self._is_rung = True
            self._os.write(self._mouth, b"!")

    def _start(self) -> None:
        while self._running < self._concurrency:
            call = self._backlog.begin()
            if call is None:
                return
            self._running += 1
            eventlet.spawn_n(self._perform, call)

    def _perform(self, call: Call) -> None:
        call.handle = getcurrent()
        outcome = self._invoker.run(call)
        self._running -= 1
        self._finish(call, outcome)
        if len(self._backlog):
            self._start()
        elif self._is_leaving:
            self._ring()

    def _throw(self, call: Call, error: BaseException, is_cancel: bool) -> None:
        call.interrupt(error, is_cancel)
        if call.is_open and call.handle is not None and not call.handle.dead:
            call.pending, call.interruption = None, error
            hubs.get_hub().schedule_call_global(0, call.handle.throw, error)

    def _leave(self) -> None:
        self._is_leaving = True
