"""Settlements as statements: sorted by what becomes of the message, each kind written for the whole batch at once."""

from collections.abc import Sequence

import msgspec

from polypool.brokers.postgres.rows import Lanes, add, encoded, told
from polypool.brokers.postgres.session import Connection
from polypool.brokers.stored import Ending
from polypool.core.codec import encode
from polypool.core.message import Lane, Message
from polypool.core.outcome import Again, Ended, Settlement
from polypool.core.port import Traits

LARGE = 2000
"""Bytes of a body from which on it is dropped when its message has ended."""
LONGEST_REASON = 2000


class Written(msgspec.Struct, frozen=True):
    """A settlement ready to be written: its ending or new body, and its follow-ups."""

    settlement: Settlement
    blob: bytes | None
    follow_ups: list[tuple[Message, bytes]]

    @property
    def held(self) -> tuple[int, int]:
        return self.settlement.delivery.handle, self.settlement.delivery.token

    @property
    def size(self) -> int:
        return len(self.blob or b"") + sum(len(body) for _, body in self.follow_ups)


def written(settlement: Settlement, traits: Traits) -> Written:
    """Encode what is to be written, before it waits for the connection."""
    next, delivery = settlement.next, settlement.delivery
    if isinstance(next, Ended):
        message = delivery.message
        ending = Ending(next.value, next.failure, settlement.at, next.usage, delivery.attempt, message.sent_at)
        blob: bytes | None = encode(ending)
    else:
        blob = encode(next.message) if next.message is not None else None
    return Written(settlement, blob, encoded(settlement.follow_ups, traits))


async def settle(connection: Connection, lanes: Lanes, given: Sequence[Written], now: float) -> list[bool]:
    """Write them, all in one step; False for each whose token is stale. Of two for one delivery the first counts."""
    first: dict[tuple[int, int], Written] = {}
    for one in given:
        first.setdefault(one.held, one)
    chosen = list(first.values())
    ends = [one for one in chosen if isinstance(one.settlement.next, Ended) and _is_kept(one.settlement.next)]
    unkept = [one for one in chosen if isinstance(one.settlement.next, Ended) and not _is_kept(one.settlement.next)]
    agains = [one for one in chosen if isinstance(one.settlement.next, Again)]
    numbers = await lanes.numbers(connection, _lanes_of(chosen))
    is_simple = not (unkept or agains) and not any(one.follow_ups or _has_large_body(one) for one in ends)
    if is_simple:
        held = await _end(connection, ends)
    else:
        async with connection.transaction():
            held = await _end(connection, ends) | await _end_unkept(connection, unkept)
            held |= await _repeat(connection, agains, numbers, now)
            large = [one.held[0] for one in ends if _has_large_body(one) and one.held in held]
            if large:
                await connection.rows("empty", large)
            if follow_ups := [pair for one in chosen if one.held in held for pair in one.follow_ups]:
                await add(connection, numbers, follow_ups, now)
    return [one.held in held and first.pop(one.held, None) is one for one in given]


def _is_kept(ended: Ended) -> bool:
    return ended.dead or ended.ttl > 0


def _has_large_body(one: Written) -> bool:
    next = one.settlement.next
    return len(one.settlement.delivery.body) > LARGE and isinstance(next, Ended) and not next.dead


def _lanes_of(chosen: Sequence[Written]) -> set[Lane]:
    lanes = {message.lane for one in chosen for message, _ in one.follow_ups}
    for one in chosen:
        if isinstance(one.settlement.next, Again) and one.settlement.next.message is not None:
            lanes.add(one.settlement.next.message.lane)
    return lanes


async def _end(connection: Connection, ends: Sequence[Written]) -> set[tuple[int, int]]:
    if not ends:
        return set()
    nexts = [one.settlement.next for one in ends]
    rows = await connection.rows(
        "end",
        [one.held[0] for one in ends],
        [one.held[1] for one in ends],
        [next.state for next in nexts if isinstance(next, Ended)],
        [None if next.dead else one.settlement.at + next.ttl for one, next in zip(ends, nexts, strict=True)],  # type: ignore[union-attr]
        [_reason(next) for next in nexts if isinstance(next, Ended)],
        [one.blob for one in ends],
        told(one.settlement.delivery.id for one in ends),
    )
    return {(seq, token) for seq, token, _ in rows}


def _reason(ended: Ended) -> str | None:
    if not ended.dead:
        return None
    return (ended.failure.message if ended.failure else "").replace("\0", "�")[:LONGEST_REASON]


async def _end_unkept(connection: Connection, unkept: Sequence[Written]) -> set[tuple[int, int]]:
    if not unkept:
        return set()
    seqs, tokens = [one.held[0] for one in unkept], [one.held[1] for one in unkept]
    rows = await connection.rows("end_unkept", seqs, tokens, told(one.settlement.delivery.id for one in unkept))
    return {(seq, token) for seq, token, _ in rows}


async def _repeat(
    connection: Connection, agains: Sequence[Written], numbers: dict[Lane, int], now: float
) -> set[tuple[int, int]]:
    if not agains:
        return set()
    nexts = [one.settlement.next for one in agains if isinstance(one.settlement.next, Again)]
    rows = await connection.rows(
        "again",
        [one.held[0] for one in agains],
        [one.held[1] for one in agains],
        [next.due for next in nexts],
        [next.deliveries for next in nexts],
        [next.message and numbers[next.message.lane] for next in nexts],
        [next.message and next.message.priority for next in nexts],
        [one.blob for one in agains],
        now,
    )
    return {(seq, token) for seq, token, _ in rows}
