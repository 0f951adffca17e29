"""CPU of a coroutine, and another exception in place of its cancelling."""

import asyncio
import time

import pytest

from polypool.core.error import SoftTimeout
from polypool.pools.child.meter import SAMPLE, Sampling, Steps


def unchanged(error: BaseException) -> BaseException:
    return error


async def test_only_the_coroutines_own_steps_are_counted() -> None:
    async def works() -> str:
        ends = time.thread_time() + 0.02
        while time.thread_time() < ends:
            pass
        await asyncio.sleep(0.05)
        return "done"

    async def neighbour() -> None:
        ends = time.thread_time() + 0.05
        while time.thread_time() < ends:
            pass

    steps = Steps(works(), unchanged)

    async def awaits() -> str:
        value: str = await steps
        return value

    value, _ = await asyncio.gather(awaits(), neighbour())
    assert value == "done"
    assert 0.019 < steps.cpu < 0.06


async def test_another_exception_takes_the_place_of_a_cancelling() -> None:
    async def waits() -> str:
        try:
            await asyncio.sleep(60)
        except SoftTimeout:
            return "told in time"
        return "never"

    async def awaits() -> str:
        value: str = await Steps(waits(), lambda error: SoftTimeout("over"))
        return value

    task = asyncio.create_task(awaits())
    await asyncio.sleep(0)
    task.cancel()
    assert await task == "told in time"


async def test_exceptions_pass_through_as_they_are() -> None:
    async def fails() -> None:
        await asyncio.sleep(0)
        raise KeyError("x")

    with pytest.raises(KeyError):
        await Steps(fails(), unchanged)


def test_short_tasks_are_sampled_and_long_ones_always_measured() -> None:
    sampling = Sampling()
    picked = 0
    for _ in range(SAMPLE * 10):
        if sampling.picks("short"):
            picked += 1
            sampling.measured("short", 0.000_1)
    assert picked == 10
    assert sampling.picks("long")
    sampling.measured("long", 1.0)
    assert all(sampling.picks("long") for _ in range(5))
