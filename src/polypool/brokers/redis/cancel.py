"""What people cancel, as the words of cancel.lua."""

from collections.abc import Sequence

from polypool.brokers.redis.record import cancelled, header, stored_message
from polypool.brokers.redis.signals import Names
from polypool.brokers.redis.wire import Word
from polypool.core.decide import signals
from polypool.core.lifecycle import State

AT_ONCE = 100
"""Messages a call: each is read whole, to know what its end means to the steps behind it."""


def words(ids: Sequence[str], records: Sequence[bytes | None], now: float) -> list[Word]:
    """`records`: as they were a moment ago; cancel.lua looks again whether they still wait."""
    names, each = Names(), list[Word]()
    for id, stored in zip(ids, records, strict=True):
        if stored is None or header(stored).state.is_final:
            each += (id, 0, 0, b"", b"")
            continue
        message = stored_message(id, stored)
        keeps_body = message.flow is not None and message.flow.keeps_body
        told = names.word(signals(message, State.CANCELLED, None))
        each += (id, message.policy.result_ttl, int(keeps_body), cancelled(message, now), told)
    return names.all() + each
