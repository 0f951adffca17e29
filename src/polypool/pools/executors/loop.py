"""The asyncio executor: a thousand `async def` calls on one event loop in the main thread."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from polypool.core.outcome import Outcome
from polypool.pools.child.backlog import Backlog
from polypool.pools.child.call import Call
from polypool.pools.child.invoke import Invoker, interrupt_task

Finish = Callable[[Call, Outcome], None]


class LoopExecutor:
    """Satisfies `core.pool_port.Executor`."""

    has_loop = True

    def __init__(self, invoker: Invoker, backlog: Backlog, concurrency: int, finish: Finish, runner: asyncio.Runner):
        self._invoker = invoker
        self._backlog = backlog
        self._concurrency = concurrency
        self._finish = finish
        self._loop = runner.get_loop()
        self._running = 0
        self._aside = 0
        """Of those, how many wait for other tasks."""
        self._is_leaving = False

    def serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        while not self._is_over():
            try:
                self._loop.run_forever()
            except (SystemExit, KeyboardInterrupt):
                # Raised in a task that a call started beside itself: asyncio lets these two through. Not our end.
                continue

    def run(self, calls: Sequence[Call]) -> None:
        self._backlog.add(calls)
        self._loop.call_soon_threadsafe(self._start)

    def interrupt(self, call: Call, error: BaseException, is_cancel: bool) -> None:
        self._loop.call_soon_threadsafe(interrupt_task, call, error, is_cancel)

    def turn(self, when_turned: Callable[[], None]) -> None:
        self._loop.call_soon_threadsafe(when_turned)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._leave)

    # `waiting.Slots`, called on the loop.

    def leave(self, call: Call) -> None:
        if call.keeps is None:
            return  # it has ended; a task that it left behind waits
        call.waits += 1
        if call.waits == 1:
            self._aside += 1
            call.tell_aside(True)
            if len(self._backlog):
                self._start()

    def come_back(self, call: Call) -> None:
        if call.keeps is None:
            return
        call.waits -= 1
        if call.waits == 0:
            self._aside -= 1
            call.tell_aside(False)

    def _start(self) -> None:
        while self._running - self._aside < self._concurrency:
            call = self._backlog.begin()
            if call is None:
                return
            self._running += 1
            call.slots = self
            context = self._invoker.context_of(call)
            # Kept alive by the call, which the inbox holds: a loop itself forgets tasks that wait.
            task: asyncio.Task[Any] = asyncio.Task(self._perform(call), loop=self._loop, context=context)
            call.keeps = task

    async def _perform(self, call: Call) -> None:
        outcome = await self._invoker.run_async(call)
        self._running -= 1
        call.keeps = None
        if call.waits:
            self._aside -= 1
        self._finish(call, outcome)
        if len(self._backlog):
            self._start()
        elif self._is_leaving:
            self._leave()

    def _leave(self) -> None:
        self._is_leaving = True
        if self._is_over():
            self._loop.stop()

    def _is_over(self) -> bool:
        return self._is_leaving and self._running == 0 and not len(self._backlog)
