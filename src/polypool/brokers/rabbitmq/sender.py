"""Sender: publishes messages and learns from the server that they are durable."""

import asyncio
import contextlib
from collections.abc import Iterable, Sequence

from pamqp import commands

from polypool.brokers.rabbitmq.check import PRIORITIES, Server
from polypool.brokers.rabbitmq.fault import Closed, mapped
from polypool.brokers.rabbitmq.frames import Confirmed, Envelope, Told
from polypool.brokers.rabbitmq.link import Link
from polypool.brokers.rabbitmq.options import Options
from polypool.brokers.rabbitmq.queues import Queues
from polypool.brokers.rabbitmq.wire import Wire
from polypool.core.codec import decode_message
from polypool.core.error import EngineError, EngineFull
from polypool.core.message import Lane, Message

PUBLISHING, DECLARING = 1, 2
AT_ONCE = 256 * 1024
"""Bytes handed to the line before looking whether it still takes some."""
RECONNECTED_WITHIN = 2.0
"""Seconds to wait for another connection with what the one before left in doubt."""
REFUSED_FOR = 3.0
"""Seconds for which what the server refuses is published again. It refuses for a moment where a quorum queue was made
just now and has no leader yet; a queue that is full goes on refusing."""
FIRST_PAUSE = 0.05


class Batch:
    """Messages published together; `answer` comes when the server has spoken of all, or the connection ended."""

    __slots__ = ("answer", "confirmed", "left", "refused")

    def __init__(self, count: int) -> None:
        self.answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.left = count
        self.confirmed: list[int] = []
        self.refused: list[int] = []


class Sender:
    """The connection for sending: apart from that for taking, since a server short of memory stops reading it."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._link = Link(options, "sending", self._prepare, self._forget)
        self._queues = Queues(options, DECLARING)
        self._envelopes: dict[tuple[str, str, int], Envelope] = {}
        self._next = self._lowest = 1
        self._unconfirmed: dict[int, tuple[Batch, int]] = {}
        """By number; the server counts what is published on the channel as we do."""
        self._returned: set[str] = set()

    async def open(self) -> None:
        await self._link.open()

    async def close(self) -> None:
        await self._link.close()

    async def is_ready(self, lanes: Iterable[Lane]) -> bool:
        """Whether these lanes' queues are there and take messages; False while the server is away.

        EngineFull when it has been short of memory or disk for the time of patience. ConfigurationError.
        """
        wire = self._link.wire
        if wire is None:
            return False
        if not wire.unblocked.is_set():
            await self._wait_for_memory(wire)
        if not self._queues.are_known(lanes):
            try:
                async with asyncio.timeout(self._options.timeout):
                    await self._queues.declare(wire, lanes)
            except (Closed, OSError) as error:  # TimeoutError is one
                if not wire.is_usable or isinstance(error, TimeoutError):
                    return False
                raise mapped(error, self._options.address) from error
        return wire.is_usable

    async def publish(self, messages: Sequence[Message], bodies: Sequence[bytes]) -> tuple[list[int], list[int]]:
        """Which of these the server confirmed and which it goes on refusing, by index; of the rest it said nothing in
        time.

        What was in doubt when a connection broke is published again on the next: a copy too many is thrown away, while
        one too few would keep its message waiting for the end of its guard.
        """
        now = asyncio.get_running_loop().time
        deadline, patient_until, pause = now() + self._options.timeout, now() + REFUSED_FOR, FIRST_PAUSE
        confirmed: list[int] = []
        left = list(range(len(messages)))
        while True:
            batch = await self._publish([messages[at] for at in left], [bodies[at] for at in left], deadline)
            refused = [left[place] for place in batch.refused]
            # Where a queue was deleted while we held it for known, the server confirms what it throws away.
            unwanted = {messages[left[place]].id for place in batch.confirmed} & self._returned
            self._returned -= unwanted
            confirmed += [left[place] for place in batch.confirmed if messages[left[place]].id not in unwanted]
            left = sorted(set(left).difference(confirmed))
            for lane in {messages[at].lane for at in left if messages[at].id in unwanted}:
                self._queues.forget(lane)
            if not left or (refused and now() + pause > patient_until):
                return confirmed, refused
            if refused:
                await asyncio.sleep(pause)
                pause *= 2
            if not await self._is_ready_again({messages[at].lane for at in left}, deadline):
                return confirmed, refused

    async def _is_ready_again(self, lanes: Iterable[Lane], deadline: float) -> bool:
        """Whether it makes sense to publish what is in doubt once more."""
        within = min(deadline - asyncio.get_running_loop().time(), RECONNECTED_WITHIN)
        with contextlib.suppress(EngineError):  # what is in doubt is accepted already
            return within > 0 and await self._link.up(within) is not None and await self.is_ready(lanes)
        return False

    async def purge(self, lanes: Iterable[Lane]) -> None:
        wire = self._link.wire
        if wire is not None:
            await self._queues.purge(wire, lanes)

    async def _publish(self, messages: Sequence[Message], bodies: Sequence[bytes], deadline: float) -> Batch:
        batch = Batch(len(messages))
        wire = self._link.wire
        pieces: list[bytes] = []
        size = 0
        for index, (message, body) in enumerate(zip(messages, bodies, strict=True)):
            if wire is None or not wire.is_usable:
                return batch
            self._unconfirmed[self._next] = (batch, index)
            self._next += 1
            pieces.append(self._envelope(message).around(body, wire.frame_max))
            size += len(body)
            if size > AT_ONCE or index == len(messages) - 1:
                # In one go with the numbering: others may publish while this waits for room.
                wire.write(b"".join(pieces))
                pieces, size = [], 0
                await wire.has_room()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                await asyncio.shield(batch.answer)
        return batch

    async def _wait_for_memory(self, wire: Wire) -> None:
        try:
            async with asyncio.timeout(self._options.timeout):
                await wire.unblocked.wait()
        except TimeoutError:
            raise EngineFull(
                f"{self._options.address}: the server is short of memory or disk and takes no messages (its alarm is "
                "on); nothing of this was written. Let workers catch up, or give it more: `rabbitmqctl status` shows "
                "vm_memory_high_watermark and disk_free_limit"
            ) from None

    def _envelope(self, message: Message) -> Envelope:
        priority = message.priority if self._options.has_priorities else 0
        key = (message.queue, message.pool, priority)
        envelope = self._envelopes.get(key)
        if envelope is None:
            level = _level(priority) if self._options.has_priorities else None
            envelope = self._envelopes[key] = Envelope(PUBLISHING, self._queues.name(message.lane), level)
        return envelope

    async def _prepare(self, wire: Wire, server: Server) -> None:
        self._queues.begin(server)
        wire.on_confirmed = self._confirmed
        wire.on_told = self._told
        await wire.open_channel(PUBLISHING)
        await wire.call(PUBLISHING, commands.Confirm.Select())
        await wire.open_channel(DECLARING)
        self._next = self._lowest = 1

    def _forget(self) -> None:
        """What was not confirmed is in doubt."""
        unconfirmed, self._unconfirmed = self._unconfirmed, {}
        self._returned.clear()
        for batch, _ in unconfirmed.values():
            if not batch.answer.done():
                batch.answer.set_result(None)

    def _confirmed(self, confirmed: Confirmed) -> None:
        tags = range(self._lowest, confirmed.tag + 1) if confirmed.is_multiple else (confirmed.tag,)
        for tag in tags:
            found = self._unconfirmed.pop(tag, None)
            if found is None:
                continue
            batch, index = found
            (batch.confirmed if confirmed.is_ack else batch.refused).append(index)
            batch.left -= 1
            if not batch.left and not batch.answer.done():
                batch.answer.set_result(None)
        if confirmed.is_multiple:
            self._lowest = confirmed.tag + 1

    def _told(self, told: Told) -> None:
        """A message that no queue wanted comes back before it is confirmed."""
        if told.method.name == "Basic.Return" and told.body is not None:
            self._returned.add(decode_message(told.body)[0].id)


def _level(priority: int) -> int:
    """A priority as a classic queue has them: exact from -10 to 10, and what is beyond counts as that."""
    return max(0, min(priority + PRIORITIES // 2, PRIORITIES))
