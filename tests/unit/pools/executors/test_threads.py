"""Calls on threads: each that there is room for has a thread of its own, however starting and counting interleave."""

import threading
from typing import Any

from polypool.core.codec import encode
from polypool.core.message import Message
from polypool.core.outcome import Done, Outcome
from polypool.pools.child.backlog import Backlog
from polypool.pools.child.call import Call
from polypool.pools.executors.threads import ThreadsExecutor


class Page:
    """The numbers that a child shares, in this process's memory."""

    begun = 0


class Held(Backlog):
    """Whoever took out the first call goes on only when the test lets it."""

    def __init__(self) -> None:
        super().__init__(Page())  # type: ignore[arg-type]
        self.is_taken, self.go_on = threading.Event(), threading.Event()

    def begin(self) -> Call | None:
        call = super().begin()
        if call is not None and call.number == 1:
            self.is_taken.set()
            assert self.go_on.wait(30)
        return call


class Meeting:
    """Runs calls that end only when both are there."""

    def __init__(self) -> None:
        self._both = threading.Barrier(2)

    def run(self, call: Call) -> Outcome:
        self._both.wait(30)
        return Done(b"\xc0")


def call(number: int) -> Call:
    nothing: Any = None
    return Call(number, 1, 1, Message(id=f"{number}", task="t", args=encode([[], {}])), nothing, nothing)


def test_a_call_that_comes_while_another_is_being_begun_does_not_stand_behind_it() -> None:
    """Once the one that had left the backlog and was not yet counted as running was overlooked."""
    backlog, meeting, ended, both_ended = Held(), Meeting(), [], threading.Event()

    def finish(call: Call, outcome: Outcome) -> None:
        ended.append(call.number)
        if len(ended) == 2:
            both_ended.set()

    executor = ThreadsExecutor(meeting, backlog, 4, finish)  # type: ignore[arg-type]
    executor.run([call(1)])
    assert backlog.is_taken.wait(30)
    executor.run([call(2)])
    backlog.go_on.set()
    assert both_ended.wait(30), "the second call waits for a thread"
    executor.stop()
    executor.serve()
