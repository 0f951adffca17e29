"""Life: a child from its birth to its exit. The lifespan is entered, calls run, the lifespan is left."""

import _socket
import asyncio
import faulthandler
import io
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

import msgspec

from polypool import native
from polypool.core.error import ConfigurationError
from polypool.core.pool_port import Executor
from polypool.core.port import Application
from polypool.pools.child import logs, parent
from polypool.pools.child.backlog import Backlog
from polypool.pools.child.failure import trimmed
from polypool.pools.child.inbox import Inbox
from polypool.pools.child.invoke import Invoker
from polypool.pools.child.meter import Clock, ThreadClock
from polypool.pools.child.outbox import Outbox
from polypool.pools.child.uplink import Uplink
from polypool.pools.child.watch import Watch
from polypool.pools.page import DUMP, STACK_AT, Page
from polypool.pools.wire import Ready, Unfit

GREENLETS = ("gevent", "eventlet")


class Birthright(msgspec.Struct, frozen=True):
    """What a child is told when it is born."""

    kind: str
    concurrency: int
    max_memory: int | None
    blocked_after: float


def live(right: Birthright, socket_fd: int, page_fd: int, load: Callable[[], Application]) -> NoReturn:
    """Run calls until told to leave. Owns the main thread and both descriptors; never returns."""
    parent.die_with_it()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # The supervisor decides. Not SIG_IGN, which the programs that tasks start would inherit.
        signal.signal(number, _let_the_supervisor_decide)
    _write_lines()
    os.lseek(page_fd, STACK_AT, os.SEEK_SET)
    faulthandler.register(DUMP, file=page_fd, all_threads=False)
    end = _socket.socket(fileno=socket_fd)
    end.setblocking(True)
    outbox = Outbox(end)
    status = 0
    try:
        _serve(right, end, Page(page_fd), outbox, load())
    except BaseException as error:
        outbox.put(Unfit(_why(error)))
        status = 1
    outbox.flush()
    _flush_output()
    # As multiprocessing does: exit handlers belong to the process that registered them. Children have `lifespan`.
    os._exit(status)


def _serve(right: Birthright, end: Any, page: Page, outbox: Outbox, app: Application) -> None:
    main_thread = native.thread_id()
    logs.install()
    uplink = Uplink(outbox)
    app.use(uplink)
    invoker = Invoker(app, _clock(right.kind), uplink, gives_way=right.kind in GREENLETS)
    runner = None if right.kind in GREENLETS else asyncio.Runner(loop_factory=_loop_factory())
    if runner is None:
        from polypool.pools.child.greenlet_rules import refuse_asyncio

        refuse_asyncio(right.kind, main_thread)
    backlog = Backlog(page)
    inbox = Inbox(end, app.tasks, outbox, uplink)
    watch = Watch(outbox, page, right.blocked_after, right.max_memory, main_thread)
    # Before the lifespan: what it sends must be answered.
    executor = _executor(right, invoker, backlog, inbox, runner)
    inbox.attend(executor, backlog, watch)
    watch.attend(executor, inbox.calls)
    # These inherit the mask: a child that was stopped for a while would else show the stack of one of them.
    signal.pthread_sigmask(signal.SIG_BLOCK, (DUMP,))
    native.start_thread(outbox.write)
    native.start_thread(inbox.read)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (DUMP,))
    leave = _enter(app, invoker, runner)
    outbox.put(Ready(os.getpid()))
    try:
        executor.serve()
    finally:
        leave()


def _clock(kind: str) -> Clock:
    if kind not in GREENLETS:
        return ThreadClock()
    from polypool.pools.executors.greenlet_clock import GreenletClock

    return GreenletClock()


def _executor(
    right: Birthright, invoker: Invoker, backlog: Backlog, inbox: Inbox, runner: asyncio.Runner | None
) -> Executor:
    if right.kind == "gevent":
        from polypool.pools.executors.gevent import GeventExecutor

        return GeventExecutor(invoker, backlog, right.concurrency, inbox.finish)
    if right.kind == "eventlet":
        from polypool.pools.executors.eventlet import EventletExecutor

        return EventletExecutor(invoker, backlog, right.concurrency, inbox.finish)
    assert runner is not None
    if right.kind == "asyncio":
        from polypool.pools.executors.loop import LoopExecutor

        return LoopExecutor(invoker, backlog, right.concurrency, inbox.finish, runner)
    if right.kind == "threads":
        from polypool.pools.executors.threads import ThreadsExecutor

        return ThreadsExecutor(invoker, backlog, right.concurrency, inbox.finish)
    from polypool.pools.executors.solo import SoloExecutor

    return SoloExecutor(invoker, backlog, inbox.finish, runner)


def _enter(app: Application, invoker: Invoker, runner: asyncio.Runner | None) -> Callable[[], None]:
    """Enter the app's lifespan; how to leave it."""
    if app.lifespan is None:
        return _nothing
    span: Any = app.lifespan(app)
    context = invoker.context
    if hasattr(span, "__enter__"):
        invoker.state = context.run(span.__enter__)
        return lambda: context.run(span.__exit__, None, None, None)
    if not hasattr(span, "__aenter__"):
        raise ConfigurationError(f"lifespan(app) returned {type(span).__qualname__}; it must be a context manager")
    if runner is None:
        raise ConfigurationError(
            "this app's lifespan is an async context manager, which a process of greenlets cannot enter; make it a "
            "plain one (@contextmanager), or move these tasks to another pool"
        )
    running_runner = runner
    invoker.state = running_runner.run(_entered(span), context=context)
    return lambda: running_runner.run(_left(span), context=context)


async def _entered(span: Any) -> Any:
    return await span.__aenter__()


async def _left(span: Any) -> None:
    await span.__aexit__(None, None, None)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _let_the_supervisor_decide(signum: int, frame: Any) -> None:
    pass


def _why(error: BaseException) -> str:
    if isinstance(error, ConfigurationError):
        return str(error)
    return "".join(traceback.format_exception(type(error), error, trimmed(error.__traceback__))).rstrip()


def _write_lines() -> None:
    """What a task prints is out when its line ends, also into a pipe or a file: a child may be killed."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)


def _flush_output() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            continue


def _nothing() -> None:
    pass
