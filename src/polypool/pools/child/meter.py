"""Meter: the CPU a call takes, also for coroutines that share their thread with a thousand others."""

import time
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Protocol

SAMPLE = 16
"""Of short tasks one run in so many is metered: doing so costs several microseconds a run."""
SHORT = 0.01
"""Seconds below which a run is short."""
_WEIGHT = 0.2


class Sampling:
    """Decides which runs of each task are metered."""

    __slots__ = ("_tasks",)

    def __init__(self) -> None:
        self._tasks: dict[str, list[float]] = {}

    def picks(self, task: str) -> bool:
        """Every run of a long task, every 16th of a short one, and the first."""
        known = self._tasks.get(task)
        if known is None:
            self._tasks[task] = [0.0, 0.0]
            return True
        known[1] += 1.0
        return known[0] >= SHORT or known[1] % SAMPLE == 0

    def measured(self, task: str, wall: float) -> None:
        known = self._tasks[task]
        known[0] += _WEIGHT * (wall - known[0])


class Clock(Protocol):
    """Measures plain functions' runs. `begin` and `end` are called in the thread or greenlet that runs."""

    def begin(self, task: str) -> Any: ...

    def end(self, task: str, begun: Any, wall: float) -> float | None:
        """CPU seconds since `begin`, which returned `begun`; None where this run is not metered."""


class ThreadClock:
    """For runs that have their thread to themselves: cheap enough for each one."""

    def begin(self, task: str) -> float:
        return time.thread_time()

    def end(self, task: str, begun: Any, wall: float) -> float:
        cpu: float = time.thread_time() - begun
        return cpu


class Steps(Coroutine[Any, Any, Any]):
    """A coroutine whose steps are timed, and into which another exception can be thrown than CancelledError.

    `cpu` sums the thread's CPU seconds over its own steps only; tasks it starts beside itself are not in it.
    """

    __slots__ = ("_inner", "_instead", "cpu")

    def __init__(self, inner: Coroutine[Any, Any, Any], instead: Callable[[BaseException], BaseException]) -> None:
        self._inner = inner
        self._instead = instead
        self.cpu = 0.0

    def send(self, value: Any) -> Any:
        begun = time.thread_time()
        try:
            return self._inner.send(value)
        finally:
            self.cpu += time.thread_time() - begun

    def throw(self, *error: Any) -> Any:
        begun = time.thread_time()
        try:
            return self._inner.throw(self._instead(_instance(*error)))
        finally:
            self.cpu += time.thread_time() - begun

    def close(self) -> None:
        self._inner.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        return self.send(None)


def _instance(kind: Any, value: Any = None, trace: Any = None) -> BaseException:
    """What `throw` was given, in its new form or in the old one of three."""
    if isinstance(kind, BaseException):
        return kind
    return value if isinstance(value, BaseException) else kind()
