"""Inbox: reads what the supervisor says, hands calls to the executor, and watches over those that run."""

import _socket
import asyncio
import os
import struct
import time
from collections.abc import Mapping
from typing import Any

from polypool.core.codec import decode_message
from polypool.core.decide import undecodable
from polypool.core.error import SoftTimeout
from polypool.core.outcome import Cancelled, Dead, Outcome
from polypool.core.pool_port import Executor
from polypool.core.port import Runnable
from polypool.pools.child.backlog import Backlog
from polypool.pools.child.call import Call
from polypool.pools.child.outbox import Outbox
from polypool.pools.child.uplink import Uplink
from polypool.pools.child.watch import Watch
from polypool.pools.wire import Begin, Cancel, Down, Finished, Frames, Leave, Recall, Recalled, Reply, decode_down

READ_BYTES = 256 * 1024
SOFT_TICK, WATCH_TICK = 0.05, 0.25


class Inbox:
    """One thread's work (`read`); `finish` may be called from any."""

    def __init__(self, end: Any, tasks: Mapping[str, Runnable], outbox: Outbox, uplink: Uplink) -> None:
        self._end = end
        self._tasks = tasks
        self._outbox = outbox
        self._uplink = uplink
        self._calls: dict[int, Call] = {}
        self._soft: dict[int, Call] = {}
        self._patience: float | None = None

    def attend(self, executor: Executor, backlog: Backlog, watch: Watch) -> None:
        """Whom to hand calls to."""
        self._executor = executor
        self._backlog = backlog
        self._watch = watch

    def calls(self) -> list[Call]:
        """Those held now."""
        return list(self._calls.values())

    def finish(self, call: Call, outcome: Outcome) -> None:
        """Report how a call ended."""
        self._calls.pop(call.number, None)
        if self._calls:
            self._outbox.put(Finished(call.number, outcome))
        else:
            self._outbox.put_last(Finished(call.number, outcome))

    def read(self) -> None:
        """The reading thread's life. It ends with the supervisor's: then the whole child does."""
        frames = Frames()
        while True:
            self._be_patient()
            try:
                data = self._end.recv(READ_BYTES)
            except BlockingIOError:
                self._tick()
                continue
            except OSError:
                data = b""
            if not data:
                os._exit(1)
            for body in frames.feed(data):
                self._hear(decode_down(body))
            if self._patience is not None:
                self._tick()

    def _hear(self, items: list[Down]) -> None:
        calls: list[Call] = []
        for item in items:
            if type(item) is Begin:
                call = self._make(item)
                if call is not None:
                    calls.append(call)
                continue
            self._hand_over(calls)
            self._hear_other(item)
        self._hand_over(calls)

    def _hand_over(self, calls: list[Call]) -> None:
        if calls:
            # First: the calls may take the interpreter lock, and this thread gets no other chance.
            self._watch.wake()
            self._executor.run(calls[:])
            calls.clear()

    def _make(self, item: Begin) -> Call | None:
        message, defect = decode_message(item.body)
        runnable = self._tasks.get(message.task)
        if defect is not None or runnable is None:
            dead = undecodable(defect) if defect else Dead(f"unknown task {message.task!r} in this child")
            self._outbox.put(Finished(item.number, dead))
            return None
        call = Call(item.number, item.run, item.deliveries, message, runnable, self._outbox)
        self._calls[item.number] = call
        if message.policy.soft_timeout is not None:
            self._soft[item.number] = call
        return call

    def _hear_other(self, item: Down) -> None:
        match item:
            case Reply():
                self._uplink.answered(item)
            case Recall(numbers):
                removed = self._backlog.remove(frozenset(numbers))
                for number in removed:
                    self._calls.pop(number, None)
                self._outbox.put(Recalled(removed))
            case Cancel(number):
                self._cancel(number)
            case Leave():
                self._executor.stop()
            case _:
                raise AssertionError(item)

    def _cancel(self, number: int) -> None:
        call = self._calls.get(number)
        if call is None:
            return
        if self._backlog.remove((number,)):
            self.finish(call, Cancelled("cancelled before it began"))
        else:
            self._executor.interrupt(call, asyncio.CancelledError("cancelled"), True)

    def _be_patient(self) -> None:
        """How long to wait for the next frame: for ever, unless there is something to look after."""
        if self._soft:
            patience: float | None = SOFT_TICK
        elif self._calls and self._watch.is_needed:
            patience = WATCH_TICK
        else:
            patience = None
        if patience is None:
            self._watch.rest()
        if patience != self._patience:
            self._patience = patience
            seconds = patience or 0.0
            timeval = struct.pack("ll", int(seconds), int(seconds % 1 * 1e6))
            self._end.setsockopt(_socket.SOL_SOCKET, _socket.SO_RCVTIMEO, timeval)

    def _tick(self) -> None:
        now = time.monotonic()
        for number, call in list(self._soft.items()):
            if number not in self._calls:
                del self._soft[number]
                continue
            limit = call.message.policy.soft_timeout or 0.0
            if call.begun_at and now - call.begun_at >= limit:
                del self._soft[number]
                self._executor.interrupt(
                    call, SoftTimeout(f"still running after its soft timeout of {limit:g} s"), False
                )
        self._watch.look(now)
