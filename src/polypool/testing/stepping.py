"""Answers without waiting: the memory engine does at once whatever it is asked with no time to wait."""

from collections.abc import Coroutine, Generator
from typing import Any, TypeVar

import msgspec

from polypool.brokers.answer import answer
from polypool.core.ask import Ask, Await, Follow
from polypool.core.port import Engine

T = TypeVar("T")


class Done:
    """An answer that is there; the port `Answer`."""

    def __init__(self, value: Any = None, error: Exception | None = None) -> None:
        self._value = value
        self._error = error

    def result(self, timeout: float | None = None) -> Any:
        if self._error is not None:
            raise self._error
        return self._value

    def __await__(self) -> Generator[Any, None, Any]:
        yield from ()
        return self.result()


def answered_at_once(engine: Engine, ask: Ask) -> Any:
    """What the engine knows now; empty for what has yet to come."""
    if isinstance(ask, Await | Follow):
        ask = msgspec.structs.replace(ask, wait=0.0)
    return at_once(answer(engine, ask))


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """The outcome of a coroutine that has nothing to wait for."""
    try:
        work.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    work.close()
    raise RuntimeError("the memory engine waited for something although it was given no time to")
