"""The Claims port over Redis."""

from collections.abc import Sequence

from polypool.brokers.redis.broker import RedisBroker
from polypool.brokers.redis.gather import Gather, all_but
from polypool.brokers.redis.link import Link
from polypool.brokers.redis.put import put_together
from polypool.brokers.redis.record import delivery, header, lane_name
from polypool.brokers.stored import encoded
from polypool.core.message import Delivery, Lane, Message

AT_ONCE = 500
"""Messages a claim, so that no Lua call keeps the server from others for long."""


class RedisClaims:
    """State for an engine that only carries messages."""

    def __init__(self, link: Link, broker: RedisBroker) -> None:
        self._link = link
        self._broker = broker
        self._enrolls: dict[float, Gather[tuple[Message, bytes]]] = {}
        """By the seconds within which they are to be confirmed."""
        self._confirms = broker.gather(self._confirm)

    async def enroll(self, messages: Sequence[Message], confirm_within: float) -> list[bool]:
        if not messages:
            return []
        if confirm_within not in self._enrolls:
            self._enrolls[confirm_within] = self._broker.gather(lambda pairs: self._enroll(pairs, confirm_within))
        pairs = list(zip(messages, encoded(messages, self._broker.traits), strict=True))
        return await put_together(self._enrolls[confirm_within], pairs)

    async def _enroll(self, pairs: Sequence[tuple[Message, bytes]], confirm_within: float) -> list[bool]:
        words = self._broker.words()
        words.add(len(pairs))
        for message, body in pairs:
            words.add(*words.message(message, body))
        return all_but(await self._link.run("enroll", [confirm_within, *words.all()]), len(pairs))

    async def confirm(self, ids: Sequence[str]) -> None:
        if ids:
            await self._confirms.add(ids)

    async def _confirm(self, ids: Sequence[str]) -> list[bool]:
        await self._link.run("confirm", ids)
        return [True] * len(ids)

    async def recall(self, lane: Lane) -> int:
        count = 0
        while (found := int(await self._link.run("recall", [lane_name(lane), AT_ONCE]))) > 0:
            count += found
        return count

    async def claim(self, messages: Sequence[Message], worker: str) -> list[Delivery | None]:
        claimed: list[Delivery | None] = []
        if not messages:
            return claimed
        await self._broker.give_back(worker)
        number = next(self._broker.takes)
        try:
            for start in range(0, len(messages), AT_ONCE):
                claimed += await self._claim(messages[start : start + AT_ONCE], worker, number)
        except BaseException:
            # Whoever asked is not told of what it was to get: that waits again.
            self._broker.give_up(worker, number)
            raise
        return claimed

    async def _claim(self, messages: Sequence[Message], worker: str, number: int) -> list[Delivery | None]:
        claimed, unknown = await self._try(messages, worker, number)
        if unknown:
            # The other engine kept what this one lost. Whoever takes it from its lane in between has it.
            lost = [messages[place] for place in unknown]
            await self._broker.put(lost)
            again, _ = await self._try(lost, worker, number)
            for place, one in zip(unknown, again, strict=True):
                claimed[place] = one
        return claimed

    async def _try(
        self, messages: Sequence[Message], worker: str, number: int
    ) -> tuple[list[Delivery | None], list[int]]:
        """What could be claimed, and the places of what is unknown."""
        ids = [message.id for message in messages]
        now, unknown, *found = await self._link.run("claim", [worker, self._broker.client, number, *ids])
        claimed: list[Delivery | None] = [None] * len(ids)
        for place, stored in zip(found[::2], found[1::2], strict=True):
            message = messages[place - 1]
            # The lane is for the label of a body that cannot be decoded.
            lanes = {header(stored).lane: message.lane}
            claimed[place - 1] = delivery(message.id.encode(), stored, float(now), lanes)
        return claimed, [place - 1 for place in unknown]
