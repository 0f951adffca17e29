"""Invoke: the only caller of user functions. Arguments in, middleware around, an Outcome out, whatever happens."""

import asyncio
import contextvars
import functools
import time
from contextlib import AsyncExitStack, ExitStack
from typing import Any

import msgspec

from polypool.core.codec import encode
from polypool.core.error import ConfigurationError, MessageTooLarge, NotEncodable, RetryRequested, SoftTimeout
from polypool.core.message import LARGEST_BYTES
from polypool.core.outcome import Cancelled, Deferred, Done, Failed, Failure, Outcome, Priced, Replaced, Retry, Usage
from polypool.core.port import Application, Line
from polypool.core.running import Sendable, running
from polypool.pools.child.call import Call
from polypool.pools.child.each import Drain, culprit, run_each, run_each_async
from polypool.pools.child.failure import failure
from polypool.pools.child.inputs import NOTHING, Decoded, Unpriced, Unreached, atake, decoded, inputs_of, take
from polypool.pools.child.meter import Clock, Sampling, Steps
from polypool.pools.child.refused import refused
from polypool.pools.child.streaming import Channel, adrain, drain

REACHED_AGAIN = 1.0
"""Seconds after which a step is tried again that could not read what it takes, because the engine was away."""


class Invoker:
    """Runs calls of one app in one child. `state` is what its lifespan yielded."""

    def __init__(self, app: Application, clock: Clock, line: Line, gives_way: bool = False) -> None:
        """`line` reads what steps of workflows take; `gives_way`: plain functions share their thread with others."""
        self.state: Any = None
        self.context = contextvars.copy_context()
        """What every call's context is a copy of: as the lifespan left it."""
        self._app = app
        self._line = line
        self._gives_way = gives_way
        self._middleware = tuple(app.middleware)
        self._clock = clock
        self._sampling = Sampling()

    def context_of(self, call: Call) -> contextvars.Context:
        """A context for this call alone, in which it is `current`."""
        context = self.context.copy()
        context.run(running.set, call)
        return context

    def run(self, call: Call) -> Outcome:
        """Run a plain function in this thread or greenlet."""
        return self.context_of(call).run(self._run, call)

    def _run(self, call: Call) -> Outcome:
        call.state = self.state
        started_at, begun = time.time(), time.perf_counter()
        metered, error = self._clock.begin(call.message.task), None
        try:
            value = self._call_plain(call)
            done = self._instead(value, call) if isinstance(value, Sendable) else _encode_result(value, call)
        except BaseException as raised:
            error = raised
        wall = time.perf_counter() - begun
        cpu = self._clock.end(call.message.task, metered, wall)
        usage = Usage(started_at, wall, cpu)
        if error is not None:
            return judge(call, error, usage)
        return Done(done, usage) if type(done) is bytes else _replaced(done, usage)

    def _call_plain(self, call: Call) -> Any:
        runnable = call.runnable
        if runnable.is_async:
            raise ConfigurationError(
                f"{runnable.name} is `async def`; it runs in the pools asyncio, solo and prefork, "
                f"not in {call.message.pool}: change its `pool=`"
            )
        args, kwargs = runnable.arguments.decode(call.message.args) if call.is_plain else self._of_step(call)
        if runnable.bind:
            args.insert(0, runnable)
        if not self._middleware:
            return self._open(call, args, kwargs)
        with ExitStack() as stack:
            for wrap in self._middleware:
                stack.enter_context(_plain(wrap, wrap(call)))
            return self._open(call, args, kwargs)

    def _of_step(self, call: Call) -> Decoded:
        """The arguments of a step, some of which other steps returned, or of a chunk."""
        wanted = inputs_of(call)
        return decoded(call, take(wanted, call.runnable.arguments, self._line) if wanted else NOTHING)

    def _open(self, call: Call, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Call the function; while it runs, exceptions may be raised in it from outside."""
        call.is_open = True
        try:
            call.raise_pending()
            run_out = self._drain(call) if call.runnable.streams else None
            if call.message.each is not None:
                return run_each(call, args[-1], self._gives_way, run_out)
            value = call.runnable.function(*args, **kwargs)
            return value if run_out is None else run_out(value)
        finally:
            call.is_open = False

    def _drain(self, call: Call) -> Drain:
        """How a generator that was begun is run to its end."""
        channel = Channel(call, self._line)
        if call.runnable.is_async:
            return functools.partial(adrain, channel)
        return functools.partial(drain, channel, gives_way=self._gives_way)

    async def run_async(self, call: Call) -> Outcome:
        """Run a function of either colour on this loop. The task that runs this has the call's context."""
        call.state = self.state
        call.handle = asyncio.current_task()
        is_metered = self._sampling.picks(call.message.task)
        steps: Steps | None = None
        started_at, begun = time.time(), time.perf_counter()
        error = None
        try:
            if is_metered or call.message.policy.soft_timeout is not None:
                steps = Steps(self._call_async(call), lambda thrown: _instead(call, thrown))
                value = await steps
            elif self._middleware or not call.is_plain or call.runnable.streams:
                value = await self._call_async(call)
            else:  # the same, one coroutine fewer
                value = self._begun(call)
                if call.runnable.is_async:
                    value = await value
            if isinstance(value, Sendable):
                # Beside the loop: a long group is read and sent for it, which others need not wait for.
                done: Any = await asyncio.to_thread(self._instead, value, call)
            else:
                done = _encode_result(value, call)
        except BaseException as raised:
            error = raised
        wall = time.perf_counter() - begun
        if is_metered:
            self._sampling.measured(call.message.task, wall)
        usage = Usage(started_at, wall, steps.cpu if steps is not None else None)
        if error is not None:
            return judge(call, error, usage)
        return Done(done, usage) if type(done) is bytes else _replaced(done, usage)

    def _begun(self, call: Call) -> Any:
        """What calling the function returns: for an async def a coroutine, still to be awaited."""
        args, kwargs = call.runnable.arguments.decode(call.message.args)
        if call.runnable.bind:
            args.insert(0, call.runnable)
        call.raise_pending()
        return call.runnable.function(*args, **kwargs)

    async def _arguments(self, call: Call) -> Decoded:
        if call.is_plain:
            args, kwargs = call.runnable.arguments.decode(call.message.args)
        else:
            wanted = inputs_of(call)
            taken = await atake(wanted, call.runnable.arguments, self._line) if wanted else NOTHING
            args, kwargs = decoded(call, taken)
        if call.runnable.bind:
            args.insert(0, call.runnable)
        call.raise_pending()
        return args, kwargs

    async def _call_async(self, call: Call) -> Any:
        runnable = call.runnable
        args, kwargs = await self._arguments(call)
        async with AsyncExitStack() as stack:
            for wrap in self._middleware:
                context = wrap(call)
                if hasattr(context, "__aenter__"):
                    await stack.enter_async_context(context)
                else:
                    stack.enter_context(_plain(wrap, context))
            run_out = self._drain(call) if runnable.streams else None
            if call.message.each is not None:
                return await run_each_async(call, args[-1], run_out)
            value = runnable.function(*args, **kwargs)
            if run_out is not None:
                value = run_out(value)
            return await value if runnable.is_async else value

    def _instead(self, value: Sendable, call: Call) -> bytes | Replaced:
        """The workflow that takes the place of a run that returned it."""
        replaced = self._app.replacement(value, call.message)
        return _encode_result(value, call) if replaced is None else replaced


def _replaced(done: Any, usage: Usage) -> Replaced:
    replaced: Replaced = msgspec.structs.replace(done, usage=usage)
    return replaced


def interrupt_task(call: Call, error: BaseException, is_cancel: bool) -> None:
    """Raise something in a call that runs as a task. Called on its loop; nothing if it has ended."""
    task: asyncio.Task[Any] | None = call.handle
    if task is None:
        call.interrupt(error, is_cancel)  # raised when it starts
    elif not task.done():
        call.interruption = error
        if is_cancel:
            call.is_cancelled = True
        else:
            call.pending = error
        task.cancel()


def _instead(call: Call, thrown: BaseException) -> BaseException:
    """What a task sees for the CancelledError that interrupted it: SoftTimeout, if that was the reason."""
    if call.pending is None or call.is_cancelled or not isinstance(thrown, asyncio.CancelledError):
        return thrown
    pending, call.pending = call.pending, None
    call.handle.uncancel()
    return pending


def _plain(wrap: Any, context: Any) -> Any:
    if hasattr(context, "__enter__"):
        return context
    name = getattr(wrap, "__qualname__", repr(wrap))
    if hasattr(context, "__aenter__"):
        raise ConfigurationError(
            f"the middleware {name} is an async context manager, which a plain function's run cannot enter; "
            "make it a plain one, or run the task as `async def`"
        )
    raise ConfigurationError(f"the middleware {name} returned no context manager but {type(context).__qualname__}")


def _encode_result(value: Any, call: Call) -> bytes:
    try:
        body = encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        if call.message.each is not None and (told := culprit(value, encode)):
            raise NotEncodable(f"{call.message.task}: {told}") from None
        raise NotEncodable(
            f"{call.message.task} returned a value with no MessagePack form ({type(value).__qualname__}): {error}; "
            "return plain values, dataclasses or msgspec Structs"
        ) from None
    if len(body) > LARGEST_BYTES:
        raise MessageTooLarge(
            f"{call.message.task} returned {len(body):,} bytes and a result may have {LARGEST_BYTES:,} (16 MiB): "
            "store the data elsewhere and return where it is"
        )
    return body


def judge(call: Call, error: BaseException, usage: Usage | None = None) -> Outcome:
    """How a run ended that raised."""
    if isinstance(error, Unreached):
        return Deferred(time.time() + REACHED_AGAIN)
    if isinstance(error, Unpriced):
        return Priced(error.charges)
    if call.is_cancelled and isinstance(error, asyncio.CancelledError):
        return Cancelled(usage=usage)
    if isinstance(error, SoftTimeout) and not error.args:
        # A thread can only be sent the class.
        error.args = (f"still running after its soft timeout of {call.message.policy.soft_timeout:g} s",)
    if (limited := refused(call.message, error, usage)) is not None:
        return limited
    if isinstance(error, RetryRequested):
        cause = error.__cause__ or error.__context__
        why: Failure | None = failure(cause) if cause is not None else None
        return Retry(why, error.countdown, usage)
    if isinstance(error, call.runnable.autoretry_for):
        return Retry(failure(error), None, usage)
    return Failed(failure(error), usage)
