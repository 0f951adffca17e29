"""Settlements as statements: sorted by what becomes of the message, each kind written for the whole batch at once."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from polypool.brokers.postgres.rows import Lanes, add, encoded, told, waits
from polypool.brokers.postgres.session import Connection
from polypool.brokers.postgres.signals import columns, dropped, marked, signal
from polypool.brokers.stored import Ending
from polypool.core.codec import encode
from polypool.core.join import Signal
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
        held = await (_end_and_signal(connection, ends, now) if _signals(ends) else _end(connection, ends))
    else:
        async with connection.transaction():
            held = await _end(connection, ends) | await _end_unkept(connection, unkept)
            held |= await _repeat(connection, agains, numbers, now)
            large = [one.held[0] for one in ends if _has_large_body(one) and one.held in held]
            if large:
                await connection.rows("empty", large)
            if follow_ups := [pair for one in chosen if one.held in held for pair in one.follow_ups]:
                await add(connection, numbers, follow_ups, now)
            # The last, see there.
            await signal(connection, _signals(one for one in chosen if one.held in held), now)
    return [one.held in held and first.pop(one.held, None) is one for one in given]


def _is_kept(ended: Ended) -> bool:
    return ended.dead or ended.ttl > 0


def _has_large_body(one: Written) -> bool:
    next = one.settlement.next
    return len(one.settlement.delivery.body) > LARGE and isinstance(next, Ended) and not _keeps_body(next)


def _keeps_body(ended: Ended) -> bool:
    return ended.dead or ended.keeps_body


def _signals(ends: Iterable[Written]) -> list[Signal]:
    return [signal for one in ends for signal in one.settlement.signals]


def _lanes_of(chosen: Sequence[Written]) -> set[Lane]:
    lanes = {message.lane for one in chosen for message, _ in one.follow_ups}
    for one in chosen:
        if isinstance(one.settlement.next, Again) and one.settlement.next.message is not None:
            lanes.add(one.settlement.next.message.lane)
    return lanes


async def _end(connection: Connection, ends: Sequence[Written]) -> set[tuple[int, int]]:
    if not ends:
        return set()
    rows = await connection.rows("end", *_endings(ends))
    return {(seq, token) for seq, token, _ in rows}


async def _end_and_signal(connection: Connection, ends: Sequence[Written], now: float) -> set[tuple[int, int]]:
    """Both in one statement: a round trip to the server as for other tasks."""
    signals = _signals(ends)
    if all(one.kind == "mark" for one in signals):
        marks = marked((number, one) for number, end in enumerate(ends, 1) for one in end.settlement.signals)
        rows = await connection.rows("end_and_mark", *_endings(ends), *marks, now)
    else:
        origins = [one.held for one in ends for _ in one.settlement.signals]
        held = [[seq for seq, _ in origins], [token for _, token in origins]]
        given = [*_endings(ends, *dropped(signals)), *held, *columns(signals), now]
        rows = await connection.rows("end_and_signal", *given)
    return {(seq, token) for seq, token, *_ in rows}


def _endings(ends: Sequence[Written], *more: str) -> list[list[Any]]:
    """`more`: ids that are to be told of beside theirs."""
    nexts = [one.settlement.next for one in ends]
    return [
        [one.held[0] for one in ends],
        [one.held[1] for one in ends],
        [next.state for next in nexts if isinstance(next, Ended)],
        [None if next.dead else one.settlement.at + next.ttl for one, next in zip(ends, nexts, strict=True)],  # type: ignore[union-attr]
        [_reason(next) for next in nexts if isinstance(next, Ended)],
        [one.blob for one in ends],
        _told(ends, *more),
    ]


def _told(ends: Sequence[Written], *more: str) -> list[str]:
    return told([*(one.settlement.delivery.id for one in ends), *more])


def _reason(ended: Ended) -> str | None:
    if not ended.dead:
        return None
    return (ended.failure.message if ended.failure else "").replace("\0", "�")[:LONGEST_REASON]


async def _end_unkept(connection: Connection, unkept: Sequence[Written]) -> set[tuple[int, int]]:
    if not unkept:
        return set()
    seqs, tokens = [one.held[0] for one in unkept], [one.held[1] for one in unkept]
    rows = await connection.rows("end_unkept", seqs, tokens, _told(unkept))
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
        [_due(next) for next in nexts],
        [next.deliveries for next in nexts],
        [next.message and numbers[next.message.lane] for next in nexts],
        [next.message and next.message.priority for next in nexts],
        [one.blob for one in agains],
        [next.message and waits(next.message) for next in nexts],
        now,
    )
    return {(seq, token) for seq, token, _ in rows}


def _due(again: Again) -> float | None:
    return again.message.due_when_ready if again.message is not None and again.message.is_waiting else again.due
