"""A memory engine with workers that run what is sent, as threads, and that counts what has not ended."""

import heapq
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from polypool.core.codec import decode_any, encode
from polypool.core.event import Record
from polypool.core.message import Delivery, Message
from polypool.core.outcome import Done, Failed, Failure, Settlement, Usage
from tests.unit.by_hand import EngineByHand


class CountingEngine(EngineByHand):
    """Knows how many were sent and have not ended, and the most that ever were."""

    def __init__(self) -> None:
        super().__init__()
        self.puts: list[list[Message]] = []
        self.unended = 0
        self.most_unended = 0
        self.waits = 0
        """How often somebody waited for endings: a sender does once it knows that it may send no more."""

    async def put(self, messages: Sequence[Message]) -> list[bool]:
        accepted = await super().put(messages)
        self.puts.append(list(messages))
        self.unended += sum(accepted)
        self.most_unended = max(self.most_unended, self.unended)
        return accepted

    async def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        accepted = await super().settle(settlements)
        self.unended -= sum(accepted)
        return accepted

    async def wait(self, ids: Sequence[str], wait: float) -> list[Record]:
        self.waits += 1
        return await super().wait(ids, wait)

    @property
    def messages(self) -> list[Message]:
        return [message for batch in self.puts for message in batch]


Run = Callable[..., Any]


class Times:
    """What so many items are said to take, in so many slots that work side by side and without a pause."""

    def __init__(self, wall_of: Callable[[int], float], slots: int) -> None:
        self._wall_of = wall_of
        self._free = [1e9] * slots

    def usage(self, items: int) -> Usage:
        start, wall = heapq.heappop(self._free), self._wall_of(items)
        heapq.heappush(self._free, start + wall)
        return Usage(start, wall)


def run_once(engine: EngineByHand, delivery: Delivery, function: Run, times: Times) -> None:
    """Run a task, or each item of a chunk, and end it as a child would."""
    args, kwargs = decode_any(delivery.message.args)
    each = delivery.message.each
    try:
        if each is None:
            value, items = function(*args, **kwargs), 1
        else:
            value, items = [function(*(one if each == "tuple" else [one])) for one in args[0]], len(args[0])
        engine.end(delivery, Done(encode(value), times.usage(items)))
    except Exception as error:
        engine.end(delivery, Failed(Failure(type(error).__qualname__, str(error)), times.usage(0)))


@contextmanager
def workers(
    engine: EngineByHand,
    function: Run,
    at_once: int = 5,
    wall_of: Callable[[int], float] = lambda items: 1e-4 * items,
) -> Iterator[None]:
    """While this lasts, what is sent is run, some at a time."""
    is_over, times = threading.Event(), Times(wall_of, at_once)

    def run() -> None:
        while not is_over.is_set():
            taken = engine.take(at_once) if hasattr(engine, "loop") else []
            for delivery in taken:
                run_once(engine, delivery, function, times)
            if not taken:
                is_over.wait(0.001)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join(60)
