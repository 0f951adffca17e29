"""The solo executor, and prefork's: one call at a time in the main thread, which a signal can interrupt."""

import asyncio
import signal
import threading
from collections.abc import Callable, Sequence
from types import FrameType

from polypool.core.outcome import Outcome
from polypool.pools.child.backlog import Backlog
from polypool.pools.child.bell import Bell
from polypool.pools.child.call import Call
from polypool.pools.child.invoke import Invoker, interrupt_task

INTERRUPT = signal.SIGUSR1
"""Sent by the reading thread to the main one, so that also a blocking system call ends. Tasks must leave it alone."""


class SoloExecutor:
    """Satisfies `core.pool_port.Executor`."""

    has_loop = False

    def __init__(
        self, invoker: Invoker, backlog: Backlog, finish: Callable[[Call, Outcome], None], runner: asyncio.Runner
    ) -> None:
        self._invoker = invoker
        self._backlog = backlog
        self._finish = finish
        self._runner = runner
        self._bell = Bell()
        self._current: Call | None = None
        self._is_leaving = False
        self._main_thread = threading.get_ident()
        signal.signal(INTERRUPT, self._interrupted)

    def serve(self) -> None:
        while True:
            call = self._backlog.begin()
            if call is not None:
                self._current = call
                outcome = self._run(call)
                self._current = None
                self._finish(call, outcome)
            elif self._is_leaving:
                return
            else:
                self._bell.wait(self._is_needed)

    def run(self, calls: Sequence[Call]) -> None:
        self._backlog.add(calls)
        self._bell.ring()

    def interrupt(self, call: Call, error: BaseException, is_cancel: bool) -> None:
        if call.runnable.is_async:
            self._runner.get_loop().call_soon_threadsafe(interrupt_task, call, error, is_cancel)
        else:
            call.interrupt(error, is_cancel)
            signal.pthread_kill(self._main_thread, INTERRUPT)

    def turn(self, when_turned: Callable[[], None]) -> None:
        raise NotImplementedError("no loop to block")

    def stop(self) -> None:
        self._is_leaving = True
        self._bell.ring()

    def _run(self, call: Call) -> Outcome:
        if not call.runnable.is_async:
            return self._invoker.run(call)
        return self._runner.run(self._invoker.run_async(call), context=self._invoker.context_of(call))

    def _interrupted(self, signum: int, frame: FrameType | None) -> None:
        """Runs in the main thread, between two instructions of whatever it does."""
        call = self._current
        if call is not None and call.is_open:
            call.raise_pending()

    def _is_needed(self) -> bool:
        return self._is_leaving or len(self._backlog) > 0
