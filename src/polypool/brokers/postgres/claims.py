"""The Claims port over PostgreSQL."""

from collections.abc import Sequence
from functools import partial
from itertools import repeat

from polypool.brokers.postgres.held import Held
from polypool.brokers.postgres.pile import Pile
from polypool.brokers.postgres.rows import Lanes, add, encoded
from polypool.brokers.postgres.session import Connection, Session
from polypool.brokers.postgres.take import delivery, reap
from polypool.brokers.postgres.takes import Takes
from polypool.core.message import Delivery, Message
from polypool.core.port import Traits

Encoded = tuple[Message, bytes]
Confirmed = tuple[str, int | None]


class PostgresClaims:
    """State for an engine that only carries messages."""

    def __init__(self, session: Session, traits: Traits, held: Held) -> None:
        self._session = session
        self._held = held
        self._traits = traits
        self._takes = takes
        self._lanes = Lanes(session)
        self._enrolls: dict[float, Pile[Encoded, bool]] = {}
        """By the seconds within which they are to be confirmed."""
        self._confirms: Pile[Confirmed, bool] = Pile(session, self._confirm, lambda one: len(one[0]))

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

    async def hand_over(self, deliveries: Sequence[Delivery], confirm_within: float) -> list[bool]:
        if not deliveries:
            return []
        guard = self._session.clock() + confirm_within
        seqs, tokens = [one.handle for one in deliveries], [one.token for one in deliveries]
        rows = await self._session.run(lambda connection: connection.rows("hand_over", seqs, tokens, guard))
        left = {(seq, token) for seq, token, _ in rows}
        self._held.left(left)
        accepted = []
        for held in zip(seqs, tokens, strict=True):
            accepted.append(held in left)
            left.discard(held)  # of two for one delivery the first counts
        return accepted

    async def confirm(self, ids: Sequence[str], tokens: Sequence[int] | None = None) -> None:
        given = zip(ids, repeat(None) if tokens is None else tokens, strict=tokens is not None)
        await self._confirms.add(list(given))

    async def _confirm(self, connection: Connection, given: list[Confirmed]) -> list[bool]:
        await connection.rows("confirm", [id for id, _ in given], [token for _, token in given], self._session.clock())
        return [True] * len(given)

    async def claim(self, messages: Sequence[Message], worker: str) -> list[Delivery | None]:
        if not messages:
            return []
        claim = _Claim(self._lanes, encoded(messages, self._traits), worker, self._session.clock())
        claiming = self._session.start(self._session.run(partial(claim.run, held=self._held)))
        try:
            await asyncio.shield(claiming)
        except BaseException:
            # Whoever asked is not told of what it was to get: that waits again, as if never claimed.
            claim.is_abandoned = True
            self._held.doubt(worker, claim.claimed.values())
            if claiming.done() and claim.claimed:
                self._session.begin(self._session.run(claim.give_back))
            raise
        claimed = dict(claim.claimed)
        return [claimed.pop(message.id, None) for message in messages]


class _Claim:
    """One batch of copies, on its way to a worker."""

    def __init__(self, lanes: Lanes, given: list[Encoded], worker: str, now: float) -> None:
        self._lanes = lanes
        self._given = given
        self._worker = worker
        self._now = now
        self.claimed: dict[str, Delivery] = {}
        self.is_abandoned = False
        """Whoever asked has gone: what is claimed must be given back."""

    async def run(self, connection: Connection, held: Held) -> None:
        await held.give_back_unheard(connection, self._worker)
        try:
            await self._claim_all(connection)
        except Exception:
            held.doubt(self._worker)
            raise
        if self.is_abandoned:
            await self.give_back(connection)
        else:
            held.reached(self.claimed.values())

    async def _claim_all(self, connection: Connection) -> None:
        is_worker_left_behind = await self._claim(connection)
        if is_worker_left_behind and self._missing:
            await reap(connection, self._now)
            await self._claim(connection)
        if self._missing and await self._put_lost(connection):
            await self._claim(connection)

    async def give_back(self, connection: Connection) -> None:
        await give_back(connection, list(self.claimed.values()))

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
