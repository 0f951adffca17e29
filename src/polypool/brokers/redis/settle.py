"""Settlements as the words of settle.lua."""

import struct
from collections.abc import Collection, Sequence

from polypool.brokers.redis.record import DEAD, LETTERS, WAITS, Words, ending, fence, waits
from polypool.brokers.redis.signals import Names
from polypool.brokers.redis.wire import Word
from polypool.brokers.stored import encoded
from polypool.core.codec import encode
from polypool.core.message import Message
from polypool.core.outcome import Again, Settlement
from polypool.core.port import Traits

_WAITS = struct.Struct(">dd")
KEPT_AT_MOST = 10 * 365 * 86_400.0

Manner = tuple[str, float, bool, bool, bool, bool]
"""Kind, seconds to keep, and whether: an earlier try may have been written, messages follow, the body is kept, other
steps are told."""


def words(settlements: Sequence[Settlement], traits: Traits, maybe_written: Collection[tuple[int, int]]) -> list[Word]:
    """MessageTooLarge where a follow-up is."""
    made, names, manners, after = Words(settlements[0].at), Names(), dict[Manner, int](), list[Word]()
    for settlement in settlements:
        delivery, next = settlement.delivery, settlement.next
        is_retry = bool(maybe_written) and (delivery.handle, delivery.token) in maybe_written
        has_more, tells = bool(settlement.follow_ups), bool(settlement.signals)
        manner: Manner
        if isinstance(next, Again):
            manner, kept = ("A", 0.0, is_retry, has_more, False, tells), b""
        else:
            letter = DEAD if next.dead else LETTERS[next.state]
            manner = (letter, next.ttl, is_retry, has_more, next.keeps_body, tells)
            kept = ending(settlement, next)
        place = manners.setdefault(manner, len(manners) + 1)
        after += (delivery.id, fence(delivery), place, kept)
        if isinstance(next, Again):
            after += _again(made, next)
        if has_more:
            after += _follow_ups(made, settlement.follow_ups, traits)
        if tells:
            after.append(names.word(settlement.signals))
    made.add(*names.all(), len(manners))
    for kind, seconds, *others in manners:
        made.add(kind, repr(min(seconds, KEPT_AT_MOST)), *map(int, others))
    made.add(*after)
    return made.all()


def _again(made: Words, next: Again) -> list[Word]:
    due: Word = "" if next.due is None else repr(next.due)
    if next.message is None:
        return [next.deliveries, due, b"", 0]
    if next.message.is_waiting:
        due = WAITS.encode() + _WAITS.pack(*waits(next.message))
    return [next.deliveries, due, encode(next.message), made.front(next.message)]


def _follow_ups(made: Words, messages: Sequence[Message], traits: Traits) -> list[Word]:
    words: list[Word] = [len(messages)]
    for message, body in zip(messages, encoded(messages, traits), strict=True):
        words += made.message(message, body)
    return words
