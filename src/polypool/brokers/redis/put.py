"""Messages that are sent together, in as many writes as they need."""

from collections.abc import Sequence

from polypool.brokers.redis.gather import MOST, Gather
from polypool.core.message import Message

Pair = tuple[Message, bytes]
"""A message and its body."""


async def put_together(puts: Gather[Pair], pairs: Sequence[Pair]) -> list[bool]:
    """One write takes them all or none. Where they are too many for one, steps that wait for others are written first
    and for sure: an ending must not come before whom it is to be told."""
    waiting = {at for at, (message, _) in enumerate(pairs) if message.is_waiting} if len(pairs) > MOST else set()
    if not waiting:
        return await puts.add(pairs)
    first = iter(await puts.add([pairs[at] for at in sorted(waiting)]))
    rest = iter(await puts.add([pair for at, pair in enumerate(pairs) if at not in waiting]))
    return [next(first if at in waiting else rest) for at in range(len(pairs))]
