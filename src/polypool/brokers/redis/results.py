"""The Results port over Redis."""

import asyncio
from collections.abc import Sequence

from polypool.brokers.redis.bell import Bell
from polypool.brokers.redis.link import Link
from polypool.brokers.redis.record import BEGINNING, LENGTH, record
from polypool.brokers.redis.watch import Ticket, Watch
from polypool.core.event import Record

AT_ONCE = 1000
"""Records a call."""


class RedisResults:
    """What became of messages."""

    def __init__(self, link: Link, bell: Bell, watch: Watch, timeout: float) -> None:
        self._link = link
        self._bell = bell
        self._watch = watch
        self._timeout = timeout

    async def read(self, ids: Sequence[str]) -> list[Record | None]:
        return await self._read(ids, "", BEGINNING)

    async def _read(self, ids: Sequence[str], channel: str, length: int) -> list[Record | None]:
        records: list[Record | None] = []
        for start in range(0, len(ids), AT_ONCE):
            some = ids[start : start + AT_ONCE]
            answer = await self._link.run("read", [channel, length, *some])
            records += [None if stored is None else record(id, stored) for id, stored in zip(some, answer, strict=True)]
        return records

    async def wait(self, ids: Sequence[str], wait: float) -> list[Record]:
        if not ids:
            return []
        ticket = self._watch.enter(ids)
        try:
            return await self._wait(ids, ticket, asyncio.get_running_loop().time() + wait)
        finally:
            self._watch.leave(ticket)

    async def _wait(self, ids: Sequence[str], ticket: Ticket, deadline: float) -> list[Record]:
        loop, pending = asyncio.get_running_loop(), self._watch.pending
        channel = await self._bell.heard(self._timeout) if deadline > loop.time() else ""
        unsure = [id for id in ids if id not in pending]
        ended: list[Record] = []
        while True:
            if unsure:
                records = [known for known in await self._read(unsure, channel, LENGTH) if known is not None]
                ended += [known for known in records if known.state.is_final]
                pending.difference_update(unsure)
                if channel:
                    pending.update(
                        known.id for known in records if not known.state.is_final and known.id not in ticket.changed
                    )
            left = deadline - loop.time()
            if ended or left <= 0 or not (ticket.changed or any(id in pending for id in ids)):
                return ended
            news = await ticket.next(left)
            ended = [record(id, stored) for id, stored in news.items() if stored]
            unsure = [id for id, stored in news.items() if not stored]
