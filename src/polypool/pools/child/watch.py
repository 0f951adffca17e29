"""Watch: notices from another thread that an event loop has stopped turning, or that the child has grown too large."""

import os
import sys
import time
import traceback
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

from polypool.core.pool_port import Executor
from polypool.pools.child.call import Call
from polypool.pools.child.invoke import Invoker
from polypool.pools.child.outbox import Outbox
from polypool.pools.memory import pss
from polypool.pools.page import Page
from polypool.pools.wire import Blocked, Heavy

AGAIN_AFTER = 10.0
"""A loop that stays blocked is reported again after so many seconds."""
WEIGH_EVERY = 1.0
_INVOKE = Invoker.run.__code__.co_filename


class Watch:
    """Looked at by the reading thread a few times a second while calls run."""

    def __init__(
        self, outbox: Outbox, page: Page, blocked_after: float, max_memory: int | None, main_thread: int
    ) -> None:
        self._outbox = outbox
        self._page = page
        self._blocked_after = blocked_after
        self._max_memory = max_memory
        self._main_thread = main_thread
        self._executor: Executor | None = None
        self._calls: Callable[[], list[Call]] = list
        self._asked_at: float | None = None
        self._told_at: float | None = None
        self._culprit = 0
        self._weighed_at = 0.0

    def attend(self, executor: Executor, calls: Callable[[], list[Call]]) -> None:
        """Whose loop to watch, and how to learn what it runs."""
        self._executor, self._calls = executor, calls

    @property
    def is_needed(self) -> bool:
        return self._max_memory is not None or (self._executor is not None and self._executor.has_loop)

    def wake(self) -> None:
        """Calls are about to run."""
        if self._executor is not None and self._executor.has_loop:
            self._page.pulse = time.monotonic_ns()

    def rest(self) -> None:
        """Nothing runs: silence means nothing."""
        self._page.pulse = 0

    def look(self, now: float) -> None:
        """See whether the loop turns and how large the process is."""
        self.wake()
        if self._executor is not None and self._executor.has_loop:
            self._look_at_loop(now)
        if self._max_memory is not None and now - self._weighed_at >= WEIGH_EVERY:
            self._weighed_at = now
            memory = pss([os.getpid()])
            if memory is not None and memory > self._max_memory:
                self._outbox.put(Heavy(memory))

    def _look_at_loop(self, now: float) -> None:
        assert self._executor is not None
        if self._asked_at is None:
            self._asked_at = now
            self._executor.turn(self._turned)
            return
        seconds = now - self._asked_at
        is_due = self._told_at is None or now - self._told_at >= AGAIN_AFTER
        if seconds >= self._blocked_after and is_due:
            self._told_at = now
            self._tell(seconds)

    def _turned(self) -> None:
        """Runs on the loop."""
        asked_at, self._asked_at = self._asked_at, None
        if self._told_at is not None and asked_at is not None:
            self._told_at = None
            self._outbox.put(Blocked(self._culprit, time.monotonic() - asked_at, "", is_over=True))

    def _tell(self, seconds: float) -> None:
        frame = sys._current_frames().get(self._main_thread)
        call = _call_on(frame) or self._only_call()
        self._culprit = call.number if call is not None else 0
        stack = "".join(traceback.format_list(_user_part(frame))) if frame is not None else ""
        self._outbox.put(Blocked(self._culprit, seconds, stack))

    def _only_call(self) -> Call | None:
        begun = [call for call in self._calls() if call.begun_at]
        return begun[0] if len(begun) == 1 else None


def _call_on(frame: FrameType | None) -> Call | None:
    """The call whose code runs here: the one in the nearest frame of the invoker."""
    while frame is not None:
        if frame.f_code.co_filename == _INVOKE:
            call: Any = frame.f_locals.get("call")
            if isinstance(call, Call):
                return call
        frame = frame.f_back
    return None


def _user_part(frame: FrameType) -> list[traceback.FrameSummary]:
    """The stack below the invoker, where the task's own code is."""
    ours: list[CodeType] = []
    walked: FrameType | None = frame
    depth = total = 0
    while walked is not None:
        total += 1
        if walked.f_code.co_filename == _INVOKE and not ours:
            ours.append(walked.f_code)
            depth = total - 1
        walked = walked.f_back
    stack = traceback.extract_stack(frame)
    return list(stack[-depth:]) if depth else list(stack)
