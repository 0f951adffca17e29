"""The Claims port over PostgreSQL."""

from collections.abc import Sequence

from polypool.brokers.postgres.pile import Pile
from polypool.brokers.postgres.rows import Lanes, add, encoded
from polypool.brokers.postgres.session import Connection, Session
from polypool.brokers.postgres.take import delivery, reap
from polypool.brokers.postgres.takes import Takes
from polypool.core.message import Delivery, Lane, Message
from polypool.core.port import Traits

Encoded = tuple[Message, bytes]
RECALLED_AT_ONCE = 2000


class PostgresClaims:
    """State for an engine that only carries messages."""

    def __init__(self, session: Session, traits: Traits, takes: Takes) -> None:
        self._session = session
        self._traits = traits
        self._takes = takes
        self._lanes = Lanes(session)
        self._enrolls: dict[float, Pile[Encoded, bool]] = {}
        """By the seconds within which they are to be confirmed."""
        self._confirms: Pile[str, bool] = Pile(session, self._confirm, len)

    async def enroll(self, messages: Sequence[Message], confirm_within: float) -> Sequence[bool]:
        if confirm_within not in self._enrolls:

            async def enroll(connection: Connection, given: list[Encoded]) -> list[bool]:
                return await self._enroll(connection, given, confirm_within)

            self._enrolls[confirm_within] = Pile(self._session, enroll, lambda pair: len(pair[1]))
        return await self._enrolls[confirm_within].add(encoded(messages, self._traits))

    async def _enroll(self, connection: Connection, given: list[Encoded], confirm_within: float) -> list[bool]:
        numbers = await self._lanes.numbers(connection, (message.lane for message, _ in given))
        now = self._session.clock()
        return await add(connection, numbers, given, now, now + confirm_within)

    async def confirm(self, ids: Sequence[str]) -> None:
        await self._confirms.add(list(ids))

    async def _confirm(self, connection: Connection, ids: list[str]) -> list[bool]:
        await connection.rows("confirm", ids, self._session.clock())
        return [True] * len(ids)

    async def recall(self, lane: Lane) -> int:
        count = 0
        while found := await self._session.run(lambda connection: connection.rows("recall", *lane, RECALLED_AT_ONCE)):
            count += len(found)
        return count

    async def claim(self, messages: Sequence[Message], worker: str) -> list[Delivery | None]:
        if not messages:
            return []
        claim = _Claim(self._lanes, encoded(messages, self._traits), worker, self._session.clock())
        claimed = dict(await self._takes.run(worker, claim.run))
        return [claimed.pop(message.id, None) for message in messages]


class _Claim:
    """One batch of copies, on its way to a worker."""

    def __init__(self, lanes: Lanes, given: list[Encoded], worker: str, now: float) -> None:
        self._lanes = lanes
        self._given = given
        self._worker = worker
        self._now = now
        self._claimed: dict[str, Delivery] = {}
        self._take = 0

    async def run(self, connection: Connection, take: int) -> dict[str, Delivery]:
        """`take`: its number, see takes.py. A repeated try begins anew: what the one before had was undone, or is given
        back."""
        self._claimed, self._take = {}, take
        is_worker_left_behind = await self._claim(connection)
        if is_worker_left_behind and self._missing:
            await reap(connection, self._now)
            await self._claim(connection)
        if self._missing and await self._put_lost(connection):
            await self._claim(connection)
        return self._claimed

    @property
    def _missing(self) -> list[str]:
        return list(dict.fromkeys(message.id for message, _ in self._given if message.id not in self._claimed))

    async def _claim(self, connection: Connection) -> bool:
        """Claim what is still missing. Whether a living worker sees that another's lease has ended."""
        rows = await connection.rows("claim_these", self._worker, self._missing, self._now, self._take)
        for _, _, id, *row, _ in map(tuple, rows):
            if id is not None:
                self._claimed[id] = await delivery(connection, tuple(row), self._now)
        worker, lease_end = rows[0][:2]
        return worker is not None and lease_end <= self._now

    async def _put_lost(self, connection: Connection) -> bool:
        """The other engine kept what this one lost. Whoever takes it from its lane in between has it."""
        lost = {id for (id,) in await connection.rows("lost", self._missing, self._now)}
        given = [(message, body) for message, body in self._given if message.id in lost]
        numbers = await self._lanes.numbers(connection, (message.lane for message, _ in given))
        return bool(given) and any(await add(connection, numbers, given, self._now))
