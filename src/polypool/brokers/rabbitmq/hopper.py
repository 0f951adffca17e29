"""Hopper: the connection for taking. RabbitMQ pushes copies into it, a consumer a lane; the broker claims from it.

The prefetch follows the free slots by itself, since what runs is unacknowledged and counts: a full pool gets no more.
What waits here although its pool is full (other lanes filled it) goes back after `PATIENCE` seconds.
"""

import asyncio
import contextlib
import itertools
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Sequence
from functools import partial
from typing import Any, TypeVar

from pamqp import commands

from polypool.brokers.rabbitmq.check import Server
from polypool.brokers.rabbitmq.consumer import Consumer
from polypool.brokers.rabbitmq.copies import Copies, Copy
from polypool.brokers.rabbitmq.fault import Closed, mapped
from polypool.brokers.rabbitmq.frames import Delivered, Told
from polypool.brokers.rabbitmq.link import Link
from polypool.brokers.rabbitmq.options import Options
from polypool.brokers.rabbitmq.queues import Queues
from polypool.brokers.rabbitmq.wire import Wire
from polypool.core.message import Lane

T = TypeVar("T")
CONSUMING, DECLARING = 1, 2
PATIENCE = 1.0
"""Seconds that a copy may wait here while nobody asks for its lane."""
RENEWED_AFTER = 20.0
"""Seconds. An idle consumer begins anew: when somebody deletes a quorum queue nobody tells its consumers, and a queue
made anew under its name brings nothing to channels that knew the old one (seen with RabbitMQ 3.10)."""
LOOK_EVERY = 30.0
"""Seconds between two looks whether the queues are empty."""
MOST = 8192
"""Copies a consumer may have unacknowledged."""
LONG = 1 / 3
"""Of the server's consumer_timeout: after that a running task's copy is acknowledged, its backend knows of it."""

logger = logging.getLogger("polypool.rabbitmq")


class Hopper:
    """Consumers, and what they brought."""

    def __init__(self, options: Options, found_empty: Callable[[Lane], Awaitable[None]]) -> None:
        self._options = options
        self._found_empty = found_empty
        self._link = Link(options, "taking", self._prepare, self._forget)
        self._queues = Queues(options, DECLARING)
        self._copies = Copies(CONSUMING)
        self._consumers: dict[Lane, Consumer] = {}
        self._tags: dict[bytes, Consumer] = {}
        self._numbers = itertools.count(1)
        self._changing = asyncio.Lock()
        self._asked: dict[Lane, float] = {}
        self._asking: dict[Lane, int] = {}
        self._arrival = asyncio.Event()
        self._tending: asyncio.Task[None] | None = None
        self._looked = time.monotonic()
        self.orphans: set[str] = set()
        """Ids of claimed messages whose copies will be delivered again."""

    async def close(self) -> None:
        tending, self._tending = self._tending, None
        if tending is not None:
            tending.cancel()
            await asyncio.wait([tending])
        wire = self._link.wire
        if wire is not None:
            with contextlib.suppress(Exception):
                await self._unbroken(wire, self._end_consumers(wire))
        await self._link.close()

    def ask(self, lanes: Iterable[Lane]) -> None:
        """From now on a take wants what these lanes have."""
        for lane in lanes:
            self._asking[lane] = self._asking.get(lane, 0) + 1

    def unask(self, lanes: Iterable[Lane]) -> None:
        now = time.monotonic()
        for lane in lanes:
            self._asking[lane] -= 1
            self._asked[lane] = now

    def has_any(self, lanes: Iterable[Lane]) -> bool:
        return self._copies.has_any(lanes)

    def arrival(self) -> asyncio.Event:
        """Set when something has come or the connection is back. Get it before looking."""
        return self._arrival

    async def consume(self, lanes: Collection[Lane], limit: int) -> None:
        """See to it that these lanes are pushed, up to `limit` more. Nothing while the server is away.

        ConfigurationError where a queue is there and made otherwise.
        """
        self._link.start()
        self._tend()
        wire = self._link.wire
        if wire is not None and not all(self._is_wide(lane, limit) for lane in lanes):
            await self._unbroken(wire, self._widen_all(wire, lanes, limit))

    async def pull(self, lanes: Sequence[Lane], limit: int) -> bool:
        """Fetch what is there now, for who does not want to wait until it is pushed. Whether there was anything."""
        self._link.start()
        self._tend()
        wire = await self._link.up(self._options.timeout)
        return wire is not None and bool(await self._unbroken(wire, self._get_all(wire, lanes, limit)))

    def pop(self, lanes: Sequence[Lane], limit: int) -> list[Copy]:
        return self._copies.pop(lanes, limit)

    def put_back(self, copies: Sequence[Copy]) -> None:
        self._copies.put_back(copies)
        self._ring()

    def hold(self, id: str, copy: Copy) -> None:
        self._copies.hold(id, copy)

    def throw_away(self, copies: Iterable[Copy]) -> None:
        """Acknowledge."""
        words = self._copies.done(copies)
        wire = self._link.wire
        if wire is not None:
            wire.write(words)

    def settled(self, ids: Sequence[str]) -> None:
        """What these messages were claimed with has done its duty."""
        self.throw_away(self._copies.release(ids))
        self.orphans.difference_update(ids)

    # Inside

    def _is_wide(self, lane: Lane, limit: int) -> bool:
        consumer = self._consumers.get(lane)
        if consumer is None or consumer.prefetch < min(self._wanted(lane, limit), MOST):
            return False
        return time.monotonic() - consumer.heard < RENEWED_AFTER

    def _wanted(self, lane: Lane, limit: int) -> int:
        return self._copies.unacked(lane) - self._copies.waiting(lane) + limit

    async def _unbroken(self, wire: Wire, change: Coroutine[Any, Any, T]) -> T | None:
        """Do it to its end even if the caller is cancelled; half a change would leave a lane without a consumer."""
        changing = asyncio.get_running_loop().create_task(self._change(wire, change))
        changing.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(changing)

    async def _change(self, wire: Wire, change: Coroutine[Any, Any, T]) -> T | None:
        try:
            async with self._changing, asyncio.timeout(self._options.timeout):
                return await change
        except (Closed, OSError) as error:
            change.close()
            if not wire.is_open(CONSUMING) or isinstance(error, TimeoutError):
                wire.drop(error)
            if wire.is_usable:
                raise mapped(error, self._options.address) from error
            return None  # it is about to be replaced, and who takes asks again

    async def _widen_all(self, wire: Wire, lanes: Collection[Lane], limit: int) -> None:
        await self._queues.declare(wire, lanes)
        for lane in lanes:
            if not self._is_wide(lane, limit) and wire.is_usable:
                await self._widen(wire, lane, limit)

    async def _widen(self, wire: Wire, lane: Lane, limit: int) -> None:
        """A wider consumer, or one that surely is one, takes the place of the lane's."""
        wanted = self._wanted(lane, limit)
        prefetch = min(1 << (wanted - 1).bit_length(), MOST)
        is_doubtful = lane in self._consumers and time.monotonic() - self._consumers[lane].heard >= RENEWED_AFTER
        _, before = await self._queues.look(wire, lane) if is_doubtful else (0, 0)
        await self._end_consumer(wire, lane)
        if is_doubtful and (await self._queues.look(wire, lane))[1] >= before:
            wire.drop(Closed(404, f"the queue {self._queues.name(lane)} was deleted under its consumers"))
            return
        consumer = Consumer(lane, f"{next(self._numbers)}", prefetch)
        self._tags[consumer.tag.encode()] = consumer
        await wire.call(CONSUMING, commands.Basic.Qos(prefetch_count=prefetch))
        await wire.call(CONSUMING, commands.Basic.Consume(queue=self._queues.name(lane), consumer_tag=consumer.tag))
        self._consumers[lane] = consumer

    async def _get_all(self, wire: Wire, lanes: Sequence[Lane], limit: int) -> bool:
        await self._queues.declare(wire, lanes)
        for lane in lanes:
            missing = limit - sum(map(self._copies.waiting, lanes))
            name = self._queues.name(lane)
            asked = [wire.call(CONSUMING, commands.Basic.Get(queue=name)) for _ in range(missing)]
            for answer in asked:
                answer.add_done_callback(partial(self._got, lane))
            if asked:
                await asyncio.gather(*asked)
        return self._copies.has_any(lanes)

    def _got(self, lane: Lane, answer: "asyncio.Future[Any]") -> None:
        if not answer.cancelled() and answer.exception() is None and isinstance(answer.result(), tuple):
            method, body = answer.result()
            self._copies.arrive(lane, method.delivery_tag, body, time.monotonic())

    async def _end_consumers(self, wire: Wire) -> None:
        """Not for politeness: a quorum queue holds back all but 32 acknowledgements until it has replicated them, and
        forgets those it holds when the channel ends. The answer to this comes after them."""
        for lane in list(self._consumers):
            await self._end_consumer(wire, lane)

    async def _end_consumer(self, wire: Wire, lane: Lane) -> None:
        consumer = self._consumers.pop(lane, None)
        if consumer is not None:
            await wire.call(CONSUMING, commands.Basic.Cancel(consumer_tag=consumer.tag))
            # Nothing comes for it after the answer.
            self._tags.pop(consumer.tag.encode(), None)

    async def _prepare(self, wire: Wire, server: Server) -> None:
        self._queues.begin(server)
        wire.on_delivered = self._delivered
        wire.on_told = self._told
        await wire.open_channel(CONSUMING)
        await wire.open_channel(DECLARING)
        self._ring()

    def _forget(self) -> None:
        self.orphans |= self._copies.begin_anew()
        self._consumers.clear()
        self._tags.clear()
        self._ring()

    def _delivered(self, delivered: Delivered) -> None:
        consumer = self._tags.get(delivered.consumer)
        if consumer is not None:
            consumer.heard = time.monotonic()
            self._copies.arrive(consumer.lane, delivered.tag, delivered.body, consumer.heard)
            self._ring()

    def _told(self, told: Told) -> None:
        if told.method.name == "Basic.Cancel":  # the queue was deleted, or moved to another node
            consumer = self._tags.pop(told.method.consumer_tag.encode(), None)
            if consumer is not None:
                self._consumers.pop(consumer.lane, None)
                self._queues.forget(consumer.lane)
                self._ring()

    def _ring(self) -> None:
        if not self._arrival.is_set():
            self._arrival.set()
            self._arrival = asyncio.Event()

    def _tend(self) -> None:
        if self._tending is None:
            self._tending = asyncio.get_running_loop().create_task(self._tend_for_ever())

    async def _tend_for_ever(self) -> None:
        """Give back what nobody asks for, let go of what runs for long, look for what is lost."""
        every = min(PATIENCE / 2, self._options.consumer_timeout * LONG / 4)
        while True:
            await asyncio.sleep(every)
            wire = self._link.wire
            if wire is None:
                continue
            try:
                await self._give_back(wire)
                self._let_go_of_the_long()
                await self._look(wire)
            except Exception as error:
                logger.debug("could not tend to the queues: %s", error)

    async def _give_back(self, wire: Wire) -> None:
        now = time.monotonic()
        idle = [
            lane
            for lane, asked in self._asked.items()
            if not self._asking.get(lane) and now - asked > PATIENCE and self._copies.waiting(lane)
        ]
        if idle:
            async with self._changing:
                for lane in idle:
                    if not self._asking.get(lane):
                        # First the consumer, or the copies would come straight back.
                        await self._end_consumer(wire, lane)
                        wire.write(self._copies.give_back(lane))

    async def _look(self, wire: Wire) -> None:
        """A queue that is empty may have been deleted with what was in it, or emptied: nobody tells that."""
        now = time.monotonic()
        if now - self._looked < LOOK_EVERY:
            return
        self._looked = now
        for lane in list(self._consumers):
            waiting, _ = await self._queues.look(wire, lane)
            if not waiting and not self._copies.waiting(lane):
                await self._found_empty(lane)

    def _let_go_of_the_long(self) -> None:
        long = self._copies.older_than(time.monotonic() - self._options.consumer_timeout * LONG)
        self.throw_away(long)
