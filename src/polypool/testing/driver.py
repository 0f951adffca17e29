"""How a test's calls get run: plain functions here, coroutines on the test's own loop, or on one made for them."""

import asyncio
import contextvars
import threading
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

from polypool.core.outcome import Outcome
from polypool.pools.child.call import Call
from polypool.pools.child.invoke import Invoker
from polypool.testing.runner import Work

T = TypeVar("T")


class Driver:
    """Carries work through, blocking or awaited."""

    def __init__(self, invoker: Invoker) -> None:
        self._invoker = invoker
        self._loop: asyncio.AbstractEventLoop | None = None

    def carry(self, work: Work[T]) -> T:
        """Run the calls of this work, blocking. Where a loop turns in this thread they run beside it."""
        if has_loop():
            return _in_a_thread(lambda: self.carry(work))
        try:
            call = next(work)
            while True:
                call = work.send(self._run(call))
        except StopIteration as end:
            value: T = end.value
            return value

    async def acarry(self, work: Work[T]) -> T:
        """Run the calls of this work: coroutines on this loop, plain functions in a thread, as a worker would."""
        try:
            call = next(work)
            while True:
                call = work.send(await self._arun(call))
        except StopIteration as end:
            value: T = end.value
            return value

    def wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop that blocking tests' async tasks share."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
        return self._loop.run_until_complete(work)

    def close(self) -> None:
        if self._loop is not None:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()
            self._loop = None

    def _run(self, call: Call) -> Outcome:
        return self.wait_for(self._on_loop(call)) if call.runnable.is_async else self._invoker.run(call)

    async def _arun(self, call: Call) -> Outcome:
        if call.runnable.is_async:
            return await self._on_loop(call)
        return await asyncio.to_thread(self._invoker.run, call)

    async def _on_loop(self, call: Call) -> Outcome:
        context = self._invoker.context_of(call)
        return await asyncio.create_task(self._invoker.run_async(call), context=context)


class Pending:
    """An answer that comes of running something; the port `Answer`. It begins when it is waited for, because only
    then it is known in which colour."""

    def __init__(self, driver: Driver, work: Work[Any]) -> None:
        self._driver = driver
        self._work = work

    def result(self, timeout: float | None = None) -> Any:
        return self._driver.carry(self._work)

    def __await__(self) -> Generator[Any, None, Any]:
        return self._driver.acarry(self._work).__await__()


def has_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _in_a_thread(function: Callable[[], T]) -> T:
    values: list[T] = []
    errors: list[BaseException] = []
    context = contextvars.copy_context()

    def run() -> None:
        try:
            values.append(context.run(function))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="polypool-in-place")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return values[0]
