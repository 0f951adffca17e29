"""Connection: one thread with a loop and an engine, in a process that sends.

What piled up while the loop was busy is taken over at one wakeup, and sends that piled up are written as one.
"""

import asyncio

# uvloop imports it, and it registers itself with fork: that must not happen while another thread is about to fork.
import concurrent.futures.thread  # noqa: F401
import time
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from polypool import native
from polypool.brokers.answer import answer
from polypool.chorus import Chorus
from polypool.core.ask import Ask, Await, Follow, Put
from polypool.core.error import EngineUnreachable, MissingExtra, SendError
from polypool.core.port import Engine

LARGEST_PUT = 2_000
"""Messages written as one when single sends pile up."""
LAST_WAIT = 10.0
"""Seconds that whoever closes a connection waits for it."""

_CUT_OFF = "the app was closed while this was waited for; whether it was done is not known"

Waiter = tuple[Ask, native.Answer]
Sender = tuple[Put, native.Answer]


class Connection:
    """One thread with its loop and engine, from the first ask to `close` or `suspend`."""

    def __init__(self, make_engine: Callable[[], Engine]) -> None:
        self._make_engine = make_engine
        self._engine = make_engine()
        self._lock = native.lock()
        self._waiting: list[Waiter] = []
        self._is_awake = False
        self.is_closed = False
        self.is_muted = False
        """Waits that are cut off are not told so."""
        self._closed = native.Answer()
        self._loop = _new_loop()
        # From here on, used on the loop only.
        self._is_open = False
        self._opening: asyncio.Task[None] | None = None
        self._sends: deque[Sender] = deque()
        self._is_sending = False
        self._running: dict[asyncio.Task[None], tuple[Waiter, float] | None] = {}
        """What is being answered, and since when; None for what answers nobody."""
        self._answering: dict[native.Answer, asyncio.Task[None]] = {}
        self._chorus = Chorus()
        self._carries = False
        self._carried: list[Waiter] = []
        native.start_thread(self._serve)

    def ask(self, ask: Ask) -> native.Answer | None:
        """None when this connection was closed meanwhile."""
        reply = native.Answer()
        return reply if self.adopt((ask, reply)) else None

    def adopt(self, waiter: Waiter) -> bool:
        """Take over an ask and who waits for it. False when this connection was closed meanwhile."""
        ask, reply = waiter
        if not isinstance(ask, Put):  # what was sent is written, whoever still waits for that
            reply.when_given_up = self._given_up
        with self._lock:
            if self.is_closed:
                return False
            self._waiting.append(waiter)
            if self._is_awake:
                return True
            self._is_awake = True
        try:
            self._loop.call_soon_threadsafe(self._take_over)
        except RuntimeError:
            # Closed by another thread meanwhile, which took this over before it ended the loop.
            if not self._loop.is_closed():
                raise
        return True

    def close(self) -> None:
        """Wait until all that was sent is written and the engine is closed."""
        if not self._begin_to_end():
            return
        try:
            self._closed.result(LAST_WAIT)
        except TimeoutError:
            return  # the thread is a daemon: it ends with the process, and what was durable is

    def suspend(self) -> list[Waiter]:
        """Close, and return what was still waited for, to be asked again. Stops greenlets too while it lasts."""
        self._carries = True
        if self._begin_to_end():
            is_over = native.lock()
            is_over.acquire()
            self._closed.add_callback(is_over.release)
            is_over.acquire(timeout=LAST_WAIT)
        return self._carried

    def _begin_to_end(self) -> bool:
        with self._lock:
            if self.is_closed:
                return False
            self.is_closed = True
        self._loop.call_soon_threadsafe(self._take_over)
        self._loop.call_soon_threadsafe(lambda: self._begin(self._end(), None))
        return True

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
            elif reply.is_given_up:
                continue
            elif isinstance(ask, Follow):
                if (shared := self._chorus.join(ask, reply)) is not None:
                    self._begin(self._answer(ask, shared), ((ask, shared), time.monotonic()))
            else:
                self._begin(self._answer(ask, reply), ((ask, reply), time.monotonic()))
        if self._sends and not self._is_sending:
            self._is_sending = True
            self._begin(self._send_all(), None)

    def _begin(self, work: Coroutine[Any, Any, None], waiter: tuple[Waiter, float] | None) -> None:
        task = self._loop.create_task(work)
        self._running[task] = waiter
        if waiter is not None:
            self._answering[waiter[0][1]] = task
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        waiter = self._running.pop(task)
        if waiter is not None:
            self._answering.pop(waiter[0][1], None)
        if task.cancelled() and waiter is not None:
            self._leave_over(*waiter)
        if not task.cancelled() and task.exception() is not None:
            self._loop.call_exception_handler({"message": "polypool client", "exception": task.exception()})

    def _given_up(self, reply: native.Answer) -> None:
        try:
            self._loop.call_soon_threadsafe(self._let_go, reply)
        except RuntimeError:
            if not self._loop.is_closed():  # with the loop went all that was waited for
                raise

    def _let_go(self, reply: native.Answer) -> None:
        task = self._answering.get(self._chorus.leave(reply) or reply)
        if task is not None:
            task.cancel()

    async def _answer(self, ask: Ask, reply: native.Answer) -> None:
        try:
            reply.set(await answer(await self._opened(), ask))
        except Exception as error:
            reply.set(error=error)

    def _leave_over(self, waiter: Waiter, since: float) -> None:
        """What is cut off while it waits: carried along for the rest of its time, or told."""
        ask, reply = waiter
        if not self._carries:
            self._cut_off(reply)
            return
        if isinstance(ask, Await | Follow):
            ask = msgspec.structs.replace(ask, wait=max(ask.wait - (time.monotonic() - since), 0.0))
        self._carried.append((ask, reply))

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
        try:
            if len(senders) == 1:
                await self._answer(*senders[0])
                return
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
        if not self._is_open:
            if self._opening is None:
                self._opening = self._loop.create_task(self._open())
                self._running[self._opening] = None
                self._opening.add_done_callback(self._tried)
            await asyncio.shield(self._opening)  # whoever asked first may give up
        return self._engine

    def _tried(self, opening: asyncio.Task[None]) -> None:
        del self._running[opening]
        self._opening = None
        if not opening.cancelled():
            opening.exception()  # told to those who asked

    async def _open(self) -> None:
        try:
            await self._engine.broker.open()
        except BaseException:
            self._engine = self._make_engine()  # for the next attempt: this one is half open
            raise
        self._is_open = True

    async def _end(self) -> None:
        itself = asyncio.current_task()
        idle = (itself, self._opening)  # who sends waits for the opening
        sending = [task for task, waiter in self._running.items() if waiter is None and task not in idle]
        if sending:
            await asyncio.wait(sending, timeout=LAST_WAIT / 2)
        waits = [task for task in self._running if task is not itself]
        for task in waits:
            task.cancel()
        if waits:
            await asyncio.wait(waits, timeout=1.0)
        while self._sends:
            self._leave_over(self._sends.popleft(), 0.0)
        try:
            if self._is_open:
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
