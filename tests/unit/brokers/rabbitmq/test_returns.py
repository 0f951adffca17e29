"""What was taken for somebody who has gone is given back, though the backend may be away just then."""

import asyncio
from collections.abc import Sequence

from polypool.brokers.memory import MemoryEngine
from polypool.brokers.rabbitmq.returns import Returns
from polypool.core.error import EngineUnreachable
from polypool.core.message import Delivery, Lane, Message
from polypool.core.outcome import Settlement
from polypool.core.report import Heartbeat

LANE = Lane("default", "threads")


class Backend:
    """A memory engine that can be away."""

    def __init__(self) -> None:
        self.engine = MemoryEngine()
        self.is_away = False
        self.returns = Returns(self.settle, lambda: 0.0)

    async def settle(self, settlements: Sequence[Settlement]) -> Sequence[bool]:
        if self.is_away:
            raise EngineUnreachable("memory: away")
        return await self.engine.settle(settlements)

    async def take(self) -> list[Delivery]:
        await self.engine.put([Message("a", "app.work", b"\x92\x90\x80", pool="threads")])
        await self.engine.beat(Heartbeat("w1", "here", 1, 1.0, 60.0))
        return await self.engine.take([LANE], 5, "w1", 0)


async def test_what_is_given_back_waits_again_uncounted() -> None:
    backend = Backend()
    backend.returns.add(await backend.take())
    await backend.returns.finish()
    assert [one.deliveries for one in await backend.take()] == [1]


async def test_what_could_not_be_given_back_is_tried_again_until_it_can() -> None:
    backend = Backend()
    taken = await backend.take()
    backend.is_away = True
    backend.returns.add(taken)
    await backend.returns.finish()
    await backend.returns.write()
    assert await backend.take() == []
    backend.is_away = False
    await backend.returns.write()
    assert [one.deliveries for one in await backend.take()] == [1]


async def test_of_work_under_way_only_deliveries_are_given_back() -> None:
    backend = Backend()

    async def pulled() -> bool:
        return True

    async def failed() -> list[Delivery]:
        raise EngineUnreachable("memory: away")

    for work in (backend.take(), pulled(), failed()):
        backend.returns.add_later(asyncio.ensure_future(work))  # type: ignore[arg-type]
    await backend.returns.finish()
    assert [one.deliveries for one in await backend.take()] == [1]
