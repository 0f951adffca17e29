"""The Broker port over Redis."""

import asyncio
import itertools
import os
from collections.abc import Callable, Sequence

import msgspec

from polypool.brokers.redis import settle as settling
from polypool.brokers.redis.bell import Bell
from polypool.brokers.redis.gather import Gather
from polypool.brokers.redis.link import Link, Word
from polypool.brokers.redis.membership import beat_words
from polypool.brokers.redis.record import CANCELLED, LENGTH, Ending, Words, header, lane_name
from polypool.brokers.stored import encoded
from polypool.core.codec import decode_message, encode
from polypool.core.decide import type_name
from polypool.core.error import EngineUnreachable
from polypool.core.message import Delivery, Lane, Message
from polypool.core.outcome import Failure, Settlement
from polypool.core.port import Traits
from polypool.core.report import Heartbeat, Orders

_CANCELLED = Failure(type_name("TaskCancelled"), "cancelled")


class RedisBroker:
    """Moves messages."""

    traits = Traits()

    def __init__(self, link: Link, bell: Bell, timeout: float, clock: Callable[[], float]) -> None:
        self._link = link
        self._bell = bell
        self._timeout = timeout
        self._clock = clock
        self._puts = Gather(self._put)
        self._settles = Gather(self._settle)
        self._takes = itertools.count(int.from_bytes(os.urandom(4), "big") << 20)
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
        await self._puts.finish()
        await self._settles.finish()
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=self._timeout)
        await self._bell.close()
        await self._link.close()

    async def put(self, messages: Sequence[Message]) -> list[bool]:
        if not messages:
            return []
        pairs = list(zip(messages, encoded(messages, self.traits), strict=True))
        return await self._puts.add(pairs)

    async def _put(self, pairs: Sequence[tuple[Message, bytes]]) -> list[bool]:
        words = Words()
        for message, body in pairs:
            words.add_message(message, body)
        return [bool(one) for one in await self._link.run("put", words.all())]

    async def take(self, lanes: Sequence[Lane], limit: int, worker: str, wait: float) -> list[Delivery]:
        if limit <= 0 or not lanes:
            return []
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        while True:
            left = deadline - loop.time()
            channel = await self._bell.heard(max(left, self._timeout)) if wait > 0 and left > 0 else ""
            ticket = self._bell.ticket("w")
            deliveries, pause = await self._take(lanes, limit, worker, channel)
            left = deadline - loop.time()
            if deliveries or left <= 0:
                return deliveries
            try:
                async with asyncio.timeout(left if pause is None else min(left, pause)):
                    await ticket.wait()
            except TimeoutError:
                continue

    async def _take(
        self, lanes: Sequence[Lane], limit: int, worker: str, channel: str
    ) -> tuple[list[Delivery], float | None]:
        """One try. Whatever keeps its answer from being returned, what it brought is given back."""
        await self._give_back(worker)
        number = next(self._takes)
        try:
            now, pause, numbers, *found = await self._link.run(
                "take", [worker, self._bell.channel, number, limit, channel, *map(lane_name, lanes)]
            )
        except BaseException as error:
            if not isinstance(error, Exception) or isinstance(error, EngineUnreachable):
                self._unheard.setdefault(worker, set()).add(number)
                self._give_back_soon(worker)
            raise
        taken_at = float(now)
        named = dict(zip(numbers, lanes, strict=False))
        pairs = zip(found[::2], found[1::2], strict=True)
        deliveries = [_delivery(id, stored, taken_at, named) for id, stored in pairs]
        return deliveries, float(pause) if pause else None

    async def _give_back(self, worker: str) -> None:
        if numbers := list(self._unheard.get(worker, ())):
            await self._link.run("give_back", [worker, self._bell.channel, *sorted(numbers)])
            left = self._unheard.get(worker, set())
            left.difference_update(numbers)
            if not left:
                self._unheard.pop(worker, None)

    def _give_back_soon(self, worker: str) -> None:
        """Now if the server is there; otherwise before the next take, or by the end of the lease."""

        async def give_back() -> None:
            try:
                await self._give_back(worker)
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
        await self._give_back(name)
        ticket = self._bell.ticket("o")
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
            ticket = self._bell.ticket("o")
            ids = frozenset(id.decode() for id in await self._link.run("orders", [name]))
        self._told[name] = ids
        return Orders(cancel=tuple(ids))

    async def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        if not settlements:
            return []
        return await self._settles.add(settlements)

    async def _settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        held = {(one.delivery.handle, one.delivery.token) for one in settlements}
        words = settling.words(settlements, self.traits, self._maybe_written)
        try:
            accepted = await self._link.run("settle", words)
        except EngineUnreachable:
            self._maybe_written |= held
            raise
        self._maybe_written -= held
        return [bool(one) for one in accepted]

    async def cancel(self, ids: Sequence[str]) -> list[bool]:
        if not ids:
            return []
        now = self._clock()
        words: list[Word] = []
        for id, stored in zip(ids, await self._link.run("look", ids), strict=True):
            keep, ending = 0.0, b""
            if stored is not None and not header(stored).state.is_final:
                message, _ = decode_message(stored[LENGTH + header(stored).ending_length :], id)
                keep = message.policy.result_ttl
                ending = encode(
                    Ending(
                        message.task,
                        None,
                        _CANCELLED,
                        now,
                        None,
                        message.attempt,
                        message.sent_at,
                        message.queue,
                        message.pool,
                    )
                )
            words += (id, keep, ending)
        accepted = await self._link.run("cancel", words)
        # Of an id that was given twice the first counts for both.
        done = {id for id, is_accepted in zip(ids, accepted, strict=True) if is_accepted}
        return [id in done for id in ids]


def _delivery(id: bytes, stored: bytes, now: float, lanes: dict[int, Lane]) -> Delivery:
    head = header(stored)
    body = stored[LENGTH + head.ending_length :]
    message, defect = decode_message(body, id.decode())
    if defect is not None:
        lane = lanes[head.lane]
        message = msgspec.structs.replace(message, queue=lane.queue, pool=lane.pool)
    return Delivery(
        message, body, head.token + 1, head.deliveries + 1, now, head.seq, bool(head.flags & CANCELLED), defect
    )
