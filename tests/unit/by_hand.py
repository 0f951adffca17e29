"""A memory engine behind a client's line, and a worker that a test moves by hand."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from polypool.brokers.memory import MemoryEngine
from polypool.core.codec import encode
from polypool.core.decide import decide
from polypool.core.event import Event, Kind
from polypool.core.message import Delivery, Lane
from polypool.core.outcome import Done, Failed, Failure, Outcome
from polypool.core.report import Heartbeat

T = TypeVar("T")

LANES = tuple(Lane(queue, pool) for queue in ("default", "fast") for pool in ("threads", "asyncio", "prefork"))


class EngineByHand(MemoryEngine):
    """Runs on the client's own loop, where it was opened; a test reaches it there from its thread."""

    async def open(self) -> None:
        await super().open()
        self.loop = asyncio.get_running_loop()
        self.times_opened = getattr(self, "times_opened", 0) + 1

    def there(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def take(self, limit: int = 1) -> list[Delivery]:  # type: ignore[override]  # a test's worker is this one
        async def taken() -> list[Delivery]:
            await self.beat(Heartbeat("by hand", "here", 1, 0.0, lease=1e6))
            return list(await super(EngineByHand, self).take(LANES, limit, "by hand", 0.0))

        return self.there(taken())

    def end(self, delivery: Delivery, outcome: Outcome) -> None:
        settlement = decide(delivery, outcome, time.time(), random=lambda: 0.5)
        assert self.there(self.settle([settlement])) == [True]

    def tell(self, delivery: Delivery, number: int, kind: Kind, data: Any) -> None:
        event = Event(delivery.token, number, kind, encode(data), time.time())
        self.there(self.append([(delivery.id, event)]))

    def run_all(self, function: Callable[..., Any]) -> None:
        """Run all that is queued with this function of the message's arguments."""
        from polypool.core.codec import decode_any

        while taken := self.take(100):
            for delivery in taken:
                args, kwargs = decode_any(delivery.message.args)
                try:
                    self.end(delivery, Done(encode(function(*args, **kwargs))))
                except Exception as error:
                    failure = Failure(type(error).__qualname__, str(error), "Traceback: somewhere")
                    self.end(delivery, Failed(failure))


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition never held"
        time.sleep(0.002)
