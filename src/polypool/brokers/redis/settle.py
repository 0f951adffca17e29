"""Settlements as the words of settle.lua."""

from collections.abc import Collection, Sequence

from polypool.brokers.redis.record import DEAD, LETTERS, Words, ending, fence
from polypool.brokers.redis.wire import Word
from polypool.brokers.stored import encoded
from polypool.core.codec import encode
from polypool.core.message import Message
from polypool.core.outcome import Again, Settlement
from polypool.core.port import Traits

KEPT_AT_MOST = 10 * 365 * 86_400.0

Manner = tuple[str, float, bool, bool]
"""Kind, seconds to keep, whether an earlier try may have been written, whether messages follow."""


def words(settlements: Sequence[Settlement], traits: Traits, maybe_written: Collection[tuple[int, int]]) -> list[Word]:
    """MessageTooLarge where a follow-up is."""
    made, manners, after = Words(settlements[0].at), dict[Manner, int](), list[Word]()
    for settlement in settlements:
        delivery, next = settlement.delivery, settlement.next
        is_retry = bool(maybe_written) and (delivery.handle, delivery.token) in maybe_written
        has_more = bool(settlement.follow_ups)
        manner: Manner
        if isinstance(next, Again):
            manner, kept = ("A", 0.0, is_retry, has_more), b""
        else:
            letter = DEAD if next.dead else LETTERS[next.state]
            manner, kept = (letter, next.ttl, is_retry, has_more), ending(settlement, next)
        place = manners.setdefault(manner, len(manners) + 1)
        after += (delivery.id, fence(delivery), place, kept)
        if isinstance(next, Again):
            after += _again(made, next)
        if has_more:
            after += _follow_ups(made, settlement.follow_ups, traits)
    made.add(len(manners))
    for kind, seconds, is_retry, has_more in manners:
        made.add(kind, repr(min(seconds, KEPT_AT_MOST)), int(is_retry), int(has_more))
    made.add(*after)
    return made.all()


def _again(made: Words, next: Again) -> list[Word]:
    due = "" if next.due is None else repr(next.due)
    if next.message is None:
        return [next.deliveries, due, b"", 0]
    return [next.deliveries, due, encode(next.message), made.front(next.message)]


def _follow_ups(made: Words, messages: Sequence[Message], traits: Traits) -> list[Word]:
    words: list[Word] = [len(messages)]
    for message, body in zip(messages, encoded(messages, traits), strict=True):
        words += made.message(message, body)
    return words
