"""A client process's way to the engine: one private loop in a thread of its own, behind `delay` as behind `adelay`.

Whoever asks (a thread, a greenlet, a coroutine of any loop) hands the ask over and waits in the way of
its own world. What piles up while the loop is busy is taken over at one wakeup, and sends that piled up are
written as one.
"""

import asyncio
import atexit
import os
import weakref
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from polypool import native
from polypool.brokers.answer import answer
from polypool.core.ask import Ask, Put
from polypool.core.error import EngineUnreachable, MissingExtra, SendError
from polypool.core.port import Engine

LARGEST_PUT = 2_000
"""Messages written as one when single sends pile up."""
LAST_WAIT = 10.0
"""Seconds that the end of a process waits for the engine to close."""

_CUT_OFF = "the app was closed while this was waited for; whether it was done is not known"

Waiter = tuple[Ask, native.Answer]
Sender = tuple[Put, native.Answer]


class ClientLine:
    """This process's line; the port `Line`. Opens at the first ask, again after a fork, and closes with the process."""

    def __init__(self, make_engine: Callable[[], Engine]) -> None:
        self._make_engine = make_engine
        self._lock = native.lock()
        self._connection: Connection | None = None
        self._inherited: list[Connection] = []
        itself = weakref.ref(self)
        os.register_at_fork(after_in_child=lambda: _call(itself, ClientLine._forget))
        # Registered early, so it runs after whatever the program itself does at its end.
        atexit.register(lambda: _call(itself, ClientLine._end))

    def ask(self, ask: Ask) -> native.Answer:
        """Hand over an ask; errors of the engine are raised where the answer is waited for."""
        connection = self._connection
        if connection is not None and (reply := connection.ask(ask)) is not None:
            return reply
        while True:
            with self._lock:
                if self._connection is None or self._connection.is_closed:
                    self._connection = Connection(self._make_engine)
                connection = self._connection
            if (reply := connection.ask(ask)) is not None:
                return reply

    def close(self) -> None:
        """Finish what was sent, end all waits, close the engine. The next ask opens it again."""
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _end(self) -> None:
        """At the end of the process only daemon threads can still be waiting: they end without a word."""
        if self._connection is not None:
            self._connection.is_muted = True
        self.close()

    def _forget(self) -> None:
        """In a forked child: thread, locks and engine belong to the parent. Keep the engine from being finalized here,
        because closing it could disturb the parent's."""
        self._lock = native.lock()
        if self._connection is not None:
            self._inherited.append(self._connection)
            self._connection = None


class Connection:
    """One thread with its loop and engine, from the first ask to `close` or to a fork."""

    def __init__(self, make_engine: Callable[[], Engine]) -> None:
        self._make_engine = make_engine
        self._lock = native.lock()
        self._waiting: list[Waiter] = []
        self._is_awake = False
        self.is_closed = False
        self.is_muted = False
        """Waits that are cut off are not told so."""
        self._closed = native.Answer()
        self._loop = _new_loop()
        # From here on, used on the loop only.
        self._engine: Engine | None = None
        self._opening: asyncio.Lock | None = None
        self._sends: deque[Sender] = deque()
        self._is_sending = False
        self._running: dict[asyncio.Task[None], native.Answer | None] = {}
        native.start_thread(self._serve)

    def ask(self, ask: Ask) -> native.Answer | None:
        """None when this connection was closed meanwhile."""
        reply = native.Answer()
        with self._lock:
            if self.is_closed:
                return None
            self._waiting.append((ask, reply))
            if self._is_awake:
                return reply
            self._is_awake = True
        self._loop.call_soon_threadsafe(self._take_over)
        return reply

    def close(self) -> None:
        """Wait until all that was sent is written and the engine is closed."""
        with self._lock:
            if self.is_closed:
                return
            self.is_closed = True
        self._loop.call_soon_threadsafe(self._take_over)
        self._loop.call_soon_threadsafe(lambda: self._begin(self._end(), None))
        try:
            self._closed.result(LAST_WAIT)
        except TimeoutError:
            return  # the thread is a daemon: it ends with the process, and what was durable is

    def _serve(self) -> None:
        loop = self._loop
        try:
            loop.run_forever()
        finally:
            loop.close()
            self._closed.set()

    def _take_over(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, []
            self._is_awake = False
        for ask, reply in waiting:
            if isinstance(ask, Put):
                self._sends.append((ask, reply))
            else:
                self._begin(self._answer(ask, reply), reply)
        if self._sends and not self._is_sending:
            self._is_sending = True
            self._begin(self._send_all(), None)

    def _begin(self, work: Coroutine[Any, Any, None], reply: native.Answer | None) -> None:
        task = self._loop.create_task(work)
        self._running[task] = reply
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        reply = self._running.pop(task)
        if reply is not None:
            self._cut_off(reply)  # counts only where it was cancelled before it began
        if not task.cancelled() and task.exception() is not None:
            self._loop.call_exception_handler({"message": "polypool client", "exception": task.exception()})

    async def _answer(self, ask: Ask, reply: native.Answer) -> None:
        try:
            reply.set(await answer(await self._opened(), ask))
        except Exception as error:
            reply.set(error=error)
        except BaseException:
            self._cut_off(reply)
            raise

    async def _send_all(self) -> None:
        """Write what piled up, as one, until nothing does."""
        try:
            while self._sends:
                await self._send(self._next_sends())
        finally:
            self._is_sending = False

    def _next_sends(self) -> list[Sender]:
        senders = [self._sends.popleft()]
        count = len(senders[0][0].messages)
        while self._sends and count + len(self._sends[0][0].messages) <= LARGEST_PUT:
            senders.append(self._sends.popleft())
            count += len(senders[-1][0].messages)
        return senders

    async def _send(self, senders: list[Sender]) -> None:
        if len(senders) == 1:
            await self._answer(*senders[0])
            return
        try:
            everything = Put([message for put, _ in senders for message in put.messages])
            accepted: Any = await answer(await self._opened(), everything)
        except SendError:
            # One of them was refused, so nothing was written: the others must not suffer for it.
            for put, reply in senders:
                await self._answer(put, reply)
        except Exception as error:
            for _, reply in senders:
                reply.set(error=error)
        except BaseException:
            for _, reply in senders:
                self._cut_off(reply)
            raise
        else:
            first = 0
            for put, reply in senders:
                reply.set(accepted[first : first + len(put.messages)])
                first += len(put.messages)

    def _cut_off(self, reply: native.Answer) -> None:
        if not self.is_muted:
            reply.set(error=EngineUnreachable(_CUT_OFF))

    async def _opened(self) -> Engine:
        if self._engine is None:
            if self._opening is None:
                self._opening = asyncio.Lock()
            async with self._opening:
                if self._engine is None:
                    engine = self._make_engine()
                    await engine.broker.open()
                    self._engine = engine
        return self._engine

    async def _end(self) -> None:
        itself = asyncio.current_task()
        sending = [task for task, reply in self._running.items() if reply is None and task is not itself]
        if sending:
            await asyncio.wait(sending, timeout=LAST_WAIT / 2)
        waits = [task for task in self._running if task is not itself]
        for task in waits:
            task.cancel()
        if waits:
            await asyncio.wait(waits, timeout=1.0)
        while self._sends:
            self._cut_off(self._sends.popleft()[1])
        try:
            if self._engine is not None:
                await self._engine.broker.close()
        finally:
            self._loop.call_soon(self._loop.stop)


def _new_loop() -> asyncio.AbstractEventLoop:
    """uvloop's, where it is installed. In a monkey-patched process nothing else would do: asyncio's own loop selects
    by patched functions."""
    try:
        import uvloop
    except ImportError:
        if (patched_by := native.greenlets()) is not None:
            raise MissingExtra(
                f"sending from a process patched by {patched_by} needs uvloop; "
                f"install it: pip install polypool[{patched_by}]"
            ) from None
        return asyncio.SelectorEventLoop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


def _call(itself: "weakref.ref[ClientLine]", method: Callable[[ClientLine], None]) -> None:
    line = itself()
    if line is not None:
        method(line)
