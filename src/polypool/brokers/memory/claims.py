"""The Claims port over the store."""

from collections.abc import Callable, Sequence

from polypool.brokers.memory.store import Store
from polypool.brokers.stored import encoded
from polypool.core.message import Delivery, Lane, Message
from polypool.core.port import Traits


class MemoryClaims:
    """State for an engine that only carries messages."""

    def __init__(self, store: Store, traits: Traits, swept: Callable[[], float], ring: Callable[[], None]) -> None:
        self._store = store
        self._traits = traits
        self._swept = swept
        self._ring = ring

    async def enroll(self, messages: Sequence[Message], confirm_within: float) -> list[bool]:
        now = self._swept()
        bodies = encoded(messages, self._traits)
        self._ring()
        return [
            self._store.enroll(message, body, now + confirm_within, now)
            for message, body in zip(messages, bodies, strict=True)
        ]

    async def confirm(self, ids: Sequence[str]) -> None:
        now = self._swept()
        for id in ids:
            self._store.confirm(id, now)

    async def recall(self, lane: Lane) -> int:
        now = self._swept()
        self._ring()
        return self._store.recall(lane, now)

    async def claim(self, messages: Sequence[Message], worker: str) -> list[Delivery | None]:
        now = self._swept()
        bodies = encoded(messages, self._traits)
        self._ring()
        return [
            self._store.claim_one(message, body, worker, now) for message, body in zip(messages, bodies, strict=True)
        ]
