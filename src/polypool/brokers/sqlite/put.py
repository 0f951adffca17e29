"""Put: accept messages whose ids are unknown, for `take` or for another engine to carry."""

from collections.abc import Sequence

from polypool.brokers.sqlite.database import Database
from polypool.brokers.sqlite.rows import Lanes, add, unknown
from polypool.brokers.sqlite.transaction import Recount, Ring, Transaction
from polypool.core.message import Message


class Put:
    """A batch of messages on its way into the table. `guard`: enrolled, when what nobody confirmed goes to its lane."""

    def __init__(
        self, lanes: Lanes, messages: Sequence[Message], bodies: list[bytes], now: float, guard: float | None = None
    ) -> None:
        self._lanes = lanes
        self._messages = list(messages)
        self._bodies = bodies
        self._now = now
        self._guard = guard
        self._is_careful = False

    async def run(self, database: Database) -> list[bool]:
        """Which were new."""
        return await database.write(self.change) if self._messages else []

    def change(self, transaction: Transaction) -> list[bool]:
        """Hopes that all are new, which the count of rows shows; otherwise it is called again to ask about each."""
        every, now = self._messages, self._now
        accepted = unknown(transaction, every, now) if self._is_careful else [True] * len(every)
        chosen = [place for place, is_new in enumerate(accepted) if is_new]
        messages, bodies = [every[p] for p in chosen], [self._bodies[p] for p in chosen]
        if add(transaction, self._lanes, messages, bodies, now, self._guard) != len(chosen):
            self._is_careful = True
            raise Recount
        if self._guard is None or not is_looked_before(transaction, self._guard) or _some_are_later(messages, now):
            transaction.rings.add(Ring.WORK)
        return accepted


def is_looked_before(transaction: Transaction, then: float) -> bool:
    """Whether whoever waits will look again by then without being told, and learn what is to happen then."""
    return bool(transaction.row("is_looked_before", then=then)[0])


def _some_are_later(messages: list[Message], now: float) -> bool:
    return any(message.due is not None and message.due > now for message in messages)
