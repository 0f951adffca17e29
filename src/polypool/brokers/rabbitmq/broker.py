"""The Broker port: bodies travel through RabbitMQ, states are the backend's.

put     enroll at the backend ─▶ publish ─▶ confirmed by RabbitMQ ─▶ confirm at the backend
take    a pushed copy ─▶ claim at the backend; beside it, what waits in the backend's own lanes:
        delays, retries, follow-ups, what dead workers held, what was never confirmed
settle  at the backend, fenced and atomic ─▶ acknowledge the copy
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import msgspec

from polypool.brokers.rabbitmq.confirmer import CONFIRM_WITHIN, Confirmer
from polypool.brokers.rabbitmq.copies import Copy, message_of
from polypool.brokers.rabbitmq.hopper import Hopper
from polypool.brokers.rabbitmq.options import Options
from polypool.brokers.rabbitmq.returns import Returns
from polypool.brokers.rabbitmq.sender import Sender
from polypool.brokers.stored import encoded
from polypool.core.error import EngineFull, TraitMissing
from polypool.core.message import Delivery, Lane, Message
from polypool.core.outcome import Ended, Settlement
from polypool.core.port import Backend, Traits
from polypool.core.report import Heartbeat, Orders, Search

LOOK_EVERY = 0.05
"""Seconds between two looks into the backend's lanes while RabbitMQ has enough: what waits there must not starve."""
SHORT = 60.0
"""Endings kept for less than this are written after their copy is acknowledged."""
REMEMBERED = 3600.0
"""Seconds an ending is kept, without its value, whose copy will be delivered again: the connection it came on broke."""

logger = logging.getLogger("polypool.rabbitmq")


class RabbitBroker:
    """Moves messages."""

    def __init__(self, options: Options, backend: Backend, clock: Callable[[], float]) -> None:
        self._backend = backend
        self._clock = clock
        self._sender = Sender(options)
        self._hopper = Hopper(options, self._recall)
        self._confirmer = Confirmer(backend.claims)
        self._address = options.address
        self._returns = Returns(self.settle, clock)
        self._looked = 0.0
        self.traits = traits_of(options, backend.broker.traits)

    async def open(self) -> None:
        await self._backend.broker.open()
        try:
            await self._sender.open()
        except BaseException:
            await self._backend.broker.close()
            raise

    async def close(self) -> None:
        """Let what is under way finish."""
        await self._returns.finish()
        await self._hopper.close()
        await self._sender.close()
        await self._confirmer.finish()
        await self._backend.broker.close()

    async def put(self, messages: Sequence[Message]) -> list[bool]:
        """Once the backend has a message it is accepted, whatever becomes of RabbitMQ: workers find it there, too.
        What RabbitMQ refuses (a full queue that rejects) is taken back, where it refuses all of it."""
        if not messages:
            return []
        bodies = encoded(messages, self.traits)
        self._refuse_priorities(messages)
        lanes = {message.lane for message in messages if _is_carried(message)}
        if not lanes or not await self._sender.is_ready(lanes):
            return list(await self._backend.broker.put(messages))
        # All of them at once, though some are not carried: a workflow's first steps and those that wait for them.
        accepted = await self._backend.claims.enroll(messages, CONFIRM_WITHIN)
        new = [one for one, is_new in zip(zip(messages, bodies, strict=True), accepted, strict=True) if is_new]
        await self._carry(new)
        return list(accepted)

    async def take(self, lanes: Sequence[Lane], limit: int, worker: str, wait: float) -> list[Delivery]:
        if limit <= 0 or not lanes:
            return []
        if wait <= 0:
            return await self._take_now(lanes, limit, worker)
        self._hopper.ask(lanes)
        try:
            return await self._take(lanes, limit, worker, wait)
        finally:
            self._hopper.unask(lanes)

    async def beat(self, heartbeat: Heartbeat, wait: float = 0.0) -> Orders:
        await self._returns.finish()
        await self._returns.write()
        return await self._backend.broker.beat(heartbeat, wait)

    async def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        if not settlements:
            return []
        orphans = self._hopper.orphans
        batch = [self._remembered(one) if one.delivery.id in orphans else one for one in settlements]
        # Once such an ending is forgotten, a copy of it would pass for a new message.
        short = [one.delivery.id for one in batch if isinstance(one.next, Ended) and one.next.ttl < SHORT]
        if short:
            self._hopper.settled(short)
        accepted = await self._backend.broker.settle(batch)
        self._hopper.settled([one.delivery.id for one in batch])
        return list(accepted)

    async def seal(self, id: str, places: int) -> bool:
        return await self._backend.broker.seal(id, places)

    async def cancel(self, ids: Sequence[str]) -> list[bool]:
        return list(await self._backend.broker.cancel(ids))

    async def purge(self, lanes: Sequence[Lane]) -> None:
        """Throw away the copies in these lanes' queues."""
        await self._sender.purge(lanes)

    # Sending

    def _refuse_priorities(self, messages: Sequence[Message]) -> None:
        if self.traits.priorities:
            return
        for message in messages:
            if message.priority:
                raise TraitMissing(
                    f"{message.task} asks for priority {message.priority}, and quorum queues have none: leave priority "
                    "out, or choose classic queues, which have: amqp://…?queue_type=classic"
                )

    async def _carry(self, new: Sequence[tuple[Message, bytes]]) -> None:
        """Publish those that were enrolled to be carried."""
        carried = [(message, body) for message, body in new if _is_carried(message)]
        if not carried:
            return
        messages, bodies = zip(*carried, strict=True)
        confirmed, refused = await self._sender.publish(messages, bodies)
        self._confirmer.add([messages[at].id for at in confirmed])
        if refused and not confirmed:
            ids = tuple(message.id for message, _ in new)
            if await self._backend.inspector.act("purge", Search(ids=ids)) == len(new):
                raise EngineFull(
                    f"{self._address}: the queue is full and rejects (x-overflow of a policy of this server); "
                    "nothing of this was written. Let workers catch up, or raise the policy's max-length"
                )

    # Taking

    async def _take(self, lanes: Sequence[Lane], limit: int, worker: str, wait: float) -> list[Delivery]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        while True:
            arrival = self._hopper.arrival()
            await self._hopper.consume(lanes, limit)
            taken: list[Delivery] = []
            if self._hopper.has_any(lanes):
                if loop.time() - self._looked > LOOK_EVERY:
                    self._looked = loop.time()
                    taken = list(await self._backend.broker.take(lanes, limit, worker, 0))
                taken = await self._with_claimed(taken, lanes, limit, worker)
            left = deadline - loop.time()
            if taken or left <= 0:
                return taken
            self._looked = loop.time()
            if taken := await self._wait(arrival, lanes, limit, worker, left):
                return taken

    async def _take_now(self, lanes: Sequence[Lane], limit: int, worker: str) -> list[Delivery]:
        await self._returns.finish()
        taken = list(await self._backend.broker.take(lanes, limit, worker, 0))
        while len(taken) < limit and await self._or_give_back(taken, self._hopper.pull(lanes, limit - len(taken))):
            taken = await self._with_claimed(taken, lanes, limit, worker)
        return _in_order(taken, lanes)

    async def _wait(
        self, arrival: asyncio.Event, lanes: Sequence[Lane], limit: int, worker: str, left: float
    ) -> list[Delivery]:
        """Wait for a copy, or for what the backend has in these lanes; what came, and is claimed."""
        loop = asyncio.get_running_loop()
        feeding = loop.create_task(_listed(self._backend.broker.take(lanes, limit, worker, left)))
        arriving = loop.create_task(arrival.wait())
        try:
            await asyncio.wait({feeding, arriving}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if not feeding.done() and (claimed := await self._with_claimed([], lanes, limit, worker)):
                # Called off only now: backends take a moment for it, in which nobody has to wait.
                feeding.cancel()
                self._returns.add_later(feeding)
                return claimed
            feeding.cancel()
            await asyncio.wait({feeding})
        except BaseException:
            feeding.cancel()
            self._returns.add_later(feeding)
            raise
        finally:
            arriving.cancel()
        fed = [] if feeding.cancelled() else feeding.result()
        return await self._with_claimed(fed, lanes, limit, worker)

    async def _with_claimed(
        self, taken: list[Delivery], lanes: Sequence[Lane], limit: int, worker: str
    ) -> list[Delivery]:
        """What is taken already and, in the room that is left, what was pushed."""
        room = limit - len(taken)
        if room <= 0 or not self._hopper.has_any(lanes):
            return taken
        claimed = await self._or_give_back(taken, self._claim(lanes, room, worker))
        return _in_order([*taken, *claimed], lanes) if taken else claimed

    async def _or_give_back(self, taken: list[Delivery], work: Coroutine[Any, Any, Any]) -> Any:
        """Do something to its end. If it fails, or the caller is cancelled meanwhile, nothing taken is lost."""
        working = asyncio.get_running_loop().create_task(work)
        try:
            return await asyncio.shield(working)
        except BaseException as error:
            if taken:
                self._returns.add(taken)
            if isinstance(error, asyncio.CancelledError):
                self._returns.add_later(working)
            raise

    async def _claim(self, lanes: Sequence[Lane], limit: int, worker: str) -> list[Delivery]:
        claimed: list[Delivery] = []
        while len(claimed) < limit and (copies := self._hopper.pop(lanes, limit - len(claimed))):
            decoded = [message_of(copy) for copy in copies]
            try:
                deliveries = await self._backend.claims.claim([message for message, _ in decoded], worker)
            except BaseException:
                self._hopper.put_back(copies)
                if claimed:
                    return claimed
                raise
            needless: list[Copy] = []
            for copy, (_, defect), delivery in zip(copies, decoded, deliveries, strict=True):
                if delivery is None:
                    needless.append(copy)
                    continue
                self._hopper.hold(delivery.id, copy)
                claimed.append(delivery if defect is None else msgspec.structs.replace(delivery, defect=defect))
            if needless:
                self._hopper.throw_away(needless)
        return claimed

    async def _recall(self, lane: Lane) -> None:
        """Its queue is empty. What the backend still holds for carried then is nowhere, or on its way into a worker,
        whose copy is thrown away in turn: a message is claimed once."""
        if count := await self._backend.claims.recall(lane):
            logger.info(
                "%s: the queue of %s %s is empty, so %d messages that should be in it are taken from the backend",
                self._address, lane.queue, lane.pool, count,
            )  # fmt: skip

    def _remembered(self, settlement: Settlement) -> Settlement:
        """Its copy is on its way again and must find that the message is over."""
        next = settlement.next
        if not isinstance(next, Ended) or next.dead or next.ttl >= REMEMBERED:
            return settlement
        value = next.value if next.ttl > 0 else None
        return msgspec.structs.replace(settlement, next=msgspec.structs.replace(next, ttl=REMEMBERED, value=value))


def _is_carried(message: Message) -> bool:
    """Whether it may run at once: what waits, for its time or for other steps, does so at the backend."""
    return message.due is None and not message.is_waiting


def traits_of(options: Options, backend: Traits) -> Traits:
    """Of RabbitMQ with this backend behind it."""
    return msgspec.structs.replace(
        backend, priorities=options.has_priorities and backend.priorities, needs_backend=True
    )


async def _listed(taking: Coroutine[Any, Any, Sequence[Delivery]]) -> list[Delivery]:
    return list(await taking)


def _in_order(deliveries: list[Delivery], lanes: Sequence[Lane]) -> list[Delivery]:
    """As a lane would have them: by the lanes' order, by priority, and oldest first (the backend counts upwards)."""
    places = {lane: place for place, lane in enumerate(lanes)}
    return sorted(
        deliveries,
        key=lambda one: (places.get(one.message.lane, len(places)), -one.message.priority, one.handle),
    )
