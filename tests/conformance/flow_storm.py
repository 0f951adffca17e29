"""Crashes by the dice: workers that are killed between any two steps of their work, sleep past their leases, settle
twice, settle what others run by now."""

import random
from collections.abc import Awaitable, Callable

from tests.conformance.flow_hands import Hands, Held

CREW = 3


class Storm:
    """One trouble after the other."""

    def __init__(self, hands: Hands, dice: random.Random) -> None:
        self._hands = hands
        self._dice = dice

    async def rage(self, acts: int) -> None:
        """So many acts, more work among them than trouble."""
        work: list[Callable[[], Awaitable[object]]] = [self.take, self.run, self.settle]
        trouble: list[Callable[[], Awaitable[object]]] = [self.kill, self.oversleep, self.settle_again, self.let_pass]
        for _ in range(acts):
            await self._dice.choice(work * 4 + trouble)()

    async def take(self) -> None:
        await self._hands.take(await self._somebody(), self._dice.choice([1, 1, 3, 10]))

    async def run(self) -> None:
        for held in self._some(await self._somebody(), is_run=False):
            await self._hands.run(held)

    async def settle(self) -> None:
        worker = await self._somebody()
        await self._hands.settle(worker, self._some(worker, is_run=True))

    async def kill(self) -> None:
        """After a take, or after a run that nobody will know of."""
        await self._hands.kill(await self._somebody())

    async def oversleep(self) -> None:
        """Its lease ends while others go on, and take over; sometimes it learns so before it settles what it ran."""
        sleeper = await self._somebody()
        await self._hands.sleep_past_leases(but=[name for name in self._hands.holds if name != sleeper])
        for other in self._hands.holds:
            if other != sleeper:
                await self._hands.take(other, 2)
        if self._dice.random() < 0.5:
            await self._hands.beat(sleeper)
        else:
            await self._hands.settle(sleeper, self._some(sleeper, is_run=True))

    async def settle_again(self) -> None:
        if self._hands.stale:
            assert not await self._hands.settle_again(self._dice.choice(self._hands.stale))

    async def let_pass(self) -> None:
        for worker in list(self._hands.holds):
            await self._hands.beat(worker)
        self._hands.clock.move(2.0)

    async def _somebody(self) -> str:
        if len(self._hands.holds) < CREW:
            return await self._hands.hire()
        return self._dice.choice(sorted(self._hands.holds))

    def _some(self, worker: str, is_run: bool) -> list[Held]:
        ready = [held for held in self._hands.holds[worker] if (held.outcome is not None) is is_run]
        return self._dice.sample(ready, self._dice.randint(0, len(ready)))
