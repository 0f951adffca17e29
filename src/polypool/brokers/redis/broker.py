"""The Broker port over Redis."""

import asyncio
import itertools
import os
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from polypool.brokers.redis import cancel as canceling
from polypool.brokers.redis import settle as settling
from polypool.brokers.redis.bell import Bell
from polypool.brokers.redis.gather import Gather, Item, all_but
from polypool.brokers.redis.link import Link
from polypool.brokers.redis.membership import beat_words
from polypool.brokers.redis.put import put_together
from polypool.brokers.redis.record import Words, delivery, lane_name
from polypool.brokers.stored import encoded
from polypool.core.error import EngineUnreachable
from polypool.core.message import Delivery, Lane, Message
from polypool.core.outcome import Settlement
from polypool.core.port import Traits
from polypool.core.report import Heartbeat, Orders


class RedisBroker:
    """Moves messages."""

    traits = Traits()

    def __init__(self, link: Link, bell: Bell, timeout: float, clock: Callable[[], float]) -> None:
        self._link = link
        self._bell = bell
        self._timeout = timeout
        self._clock = clock
        self._gathers: list[Gather[Any]] = []
        self._puts = self.gather(self._put)
        self._settles = self.gather(self._settle)
        self.takes = itertools.count(int.from_bytes(os.urandom(4), "big") << 20)
        """Their numbers, of which none is given twice."""
        self._unheard: dict[str, set[int]] = {}
        """Takes by worker whose answer reached nobody: what they brought is to be given back."""
        self._maybe_written: set[tuple[int, int]] = set()
        """Settlements that may have been written, though no answer came."""
        self._told: dict[str, frozenset[str]] = {}
        self._under_way: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        await self._link.open()

    async def close(self) -> None:
        """Let what is under way finish."""
        for gather in self._gathers:
            await gather.finish()
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=self._timeout)
        await self._bell.close()
        self._link.close()

    def gather(self, write: Callable[[Sequence[Item]], Awaitable[Sequence[bool]]]) -> Gather[Item]:
        """A kind of write that `close` lets finish."""
        self._gathers.append(made := Gather(write))
        return made

    async def put(self, messages: Sequence[Message]) -> list[bool]:
        if not messages:
            return []
        return await put_together(self._puts, list(zip(messages, encoded(messages, self.traits), strict=True)))

    @property
    def client(self) -> str:
        """What this process is called in takes."""
        return self._bell.channel

    def words(self) -> Words:
        """For messages that are put now."""
        return Words(self._clock())

    async def _put(self, pairs: Sequence[tuple[Message, bytes]]) -> list[bool]:
        words = self.words()
        words.add(len(pairs))
        for message, body in pairs:
            words.add(*words.message(message, body))
        return all_but(await self._link.run("put", words.all()), len(pairs))

    async def take(self, lanes: Sequence[Lane], limit: int, worker: str, wait: float) -> list[Delivery]:
        if limit <= 0 or not lanes:
            return []
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        while True:
            left = deadline - loop.time()
            if wait <= 0 or left <= 0:
                taken = await self._take(next(self.takes), lanes, limit, worker, False)
                return taken.named(taken.found)
            await self._bell.heard(max(left, self._timeout))
            if deliveries := await self._take_or_wait(lanes, limit, worker, deadline):
                return deliveries

    async def _take_or_wait(self, lanes: Sequence[Lane], limit: int, worker: str, deadline: float) -> list[Delivery]:
        """One try, and what is brought to it until another one may bring something."""
        loop, number = asyncio.get_running_loop(), next(self.takes)
        brought = self._bell.expect(number)
        try:
            taken = await self._take(number, lanes, limit, worker, True)
            if deliveries := taken.named(taken.found):
                return deliveries
            left = max(deadline - loop.time(), 0.0)
            alarm = loop.call_later(left if taken.pause is None else min(left, taken.pause), self._bell.wake, number)
            try:
                found = await brought
            except asyncio.CancelledError:
                self.give_up(worker, number)
                raise
            finally:
                alarm.cancel()
            if found is not None:
                return taken.named(found)
            # It still waits there: what is brought from now on would be lost.
            self._unheard.setdefault(worker, set()).add(number)
            await self.give_back(worker)
            return []
        finally:
            self._bell.forget(number)

    async def _take(self, number: int, lanes: Sequence[Lane], limit: int, worker: str, waits: bool) -> "_Taken":
        """Ask once. Whatever keeps its answer from being returned, what it brought is given back."""
        await self.give_back(worker)
        try:
            now, pause, numbers, *found = await self._link.run(
                "take", [worker, self._bell.channel, number, limit, int(waits), *map(lane_name, lanes)]
            )
        except BaseException as error:
            if not isinstance(error, Exception) or isinstance(error, EngineUnreachable):
                self.give_up(worker, number)
            raise
        return _Taken(dict(zip(numbers, lanes, strict=False)), [now, *found], float(pause) if pause else None)

    async def give_back(self, worker: str) -> None:
        """What was taken for this worker and reached nobody."""
        if numbers := list(self._unheard.get(worker, ())):
            await self._link.run("give_back", [worker, self._bell.channel, *sorted(numbers)])
            self._forget(worker, *numbers)

    def _forget(self, worker: str, *numbers: int) -> None:
        left = self._unheard.get(worker, set())
        left.difference_update(numbers)
        if not left:
            self._unheard.pop(worker, None)

    def give_up(self, worker: str, number: int) -> None:
        """What this take brought is given back: now if the server is there; otherwise before the next, or by the end of
        the lease."""
        self._unheard.setdefault(worker, set()).add(number)

        async def give_back() -> None:
            try:
                await self.give_back(worker)
            except EngineUnreachable:
                return

        task = asyncio.get_running_loop().create_task(give_back())
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def beat(self, heartbeat: Heartbeat, wait: float = 0.0) -> Orders:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        name = heartbeat.worker
        if wait > 0 and not heartbeat.is_leaving:
            await self._bell.heard(self._timeout)
        await self.give_back(name)
        ticket = self._bell.orders()
        fenced, *asked = await self._link.run("beat", beat_words(heartbeat, self._bell.channel))
        if fenced or heartbeat.is_leaving:
            self._told.pop(name, None)
            return Orders(bool(fenced))
        ids = frozenset(id.decode() for id in asked)
        told = self._told.get(name, frozenset())
        # What it has been told of takes a while to end; only something new is worth returning early for.
        while not ids - told and (left := deadline - loop.time()) > 0:
            try:
                async with asyncio.timeout(left):
                    await ticket.wait()
            except TimeoutError:
                break
            ticket = self._bell.orders()
            ids = frozenset(id.decode() for id in await self._link.run("orders", [name]))
        self._told[name] = ids
        return Orders(cancel=tuple(ids))

    async def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        if not settlements:
            return []
        return await self._settles.add(settlements)

    async def _settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        words = settling.words(settlements, self.traits, self._maybe_written)
        held = {(one.delivery.handle, one.delivery.token) for one in settlements}
        try:
            refused = await self._link.run("settle", words)
        except EngineUnreachable:
            self._maybe_written |= held
            raise
        if self._maybe_written:
            self._maybe_written -= held
        return all_but(refused, len(settlements))

    async def seal(self, id: str, places: int) -> bool:
        return bool(await self._link.run("seal", [id, places]))

    async def cancel(self, ids: Sequence[str]) -> list[bool]:
        if not ids:
            return []
        done = set[str]()
        for start in range(0, len(ids), canceling.AT_ONCE):
            some = ids[start : start + canceling.AT_ONCE]
            words = canceling.words(some, await self._link.run("look", some), self._clock())
            accepted = await self._link.run("cancel", words)
            done.update(id for id, is_accepted in zip(some, accepted, strict=True) if is_accepted)
        # Of an id that was given twice the first counts for both.
        return [id in done for id in ids]


class _Taken(NamedTuple):
    """What a take was answered with."""

    lanes: dict[int, Lane]
    found: list[bytes]
    pause: float | None
    """Seconds after which another try may bring something."""

    def named(self, found: list[bytes]) -> list[Delivery]:
        """The messages in an answer: the time, then id and record of each."""
        now = float(found[0])
        return [delivery(id, stored, now, self.lanes) for id, stored in zip(found[1::2], found[2::2], strict=True)]
