"""Group commit: what piles up while a write is under way is the next one, and everybody gets his own answer."""

import asyncio
from collections.abc import Sequence

import pytest

from polypool.brokers.redis.gather import MOST, Gather


class Server:
    """Writes when it is let; odd numbers are refused, negative ones break the write."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.is_open = asyncio.Event()

    async def write(self, numbers: Sequence[int]) -> list[bool]:
        self.batches.append(list(numbers))
        await self.is_open.wait()
        if min(numbers) < 0:
            raise ConnectionError("lost")
        return [number % 2 == 0 for number in numbers]


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_what_piles_up_during_a_write_goes_as_one_and_is_answered_apart() -> None:
    server = Server()
    gather = Gather[int](server.write)
    adding = [asyncio.create_task(gather.add(numbers)) for numbers in ([1], [2, 3], [4])]
    await turns()
    server.is_open.set()
    assert await asyncio.gather(*adding) == [[False], [True, False], [True]]
    assert [number for batch in server.batches for number in batch] == [1, 2, 3, 4] and len(server.batches) <= 2


async def test_a_large_batch_goes_in_parts_and_is_answered_as_one() -> None:
    server = Server()
    server.is_open.set()
    assert await Gather[int](server.write).add(range(2 * MOST + 5)) == [n % 2 == 0 for n in range(2 * MOST + 5)]
    assert [len(batch) for batch in server.batches] == [MOST, MOST, 5]


async def test_what_was_begun_is_written_though_its_caller_has_gone() -> None:
    server = Server()
    gather = Gather[int](server.write)
    first = asyncio.create_task(gather.add([2]))
    await turns()
    second = asyncio.create_task(gather.add([4]))
    await turns()
    first.cancel()
    second.cancel()
    await asyncio.wait([first, second])
    server.is_open.set()
    await gather.finish()
    assert server.batches == [[2], [4]]


async def test_an_error_reaches_those_whose_write_it_was_and_no_others() -> None:
    server = Server()
    gather = Gather[int](server.write)
    bad = asyncio.create_task(gather.add([-1]))
    await turns()
    good = asyncio.create_task(gather.add([2]))
    await turns()
    server.is_open.set()
    with pytest.raises(ConnectionError):
        await bad
    assert await good == [True]
