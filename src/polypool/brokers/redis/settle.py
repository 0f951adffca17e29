"""Settlements as the words of settle.lua."""

from collections.abc import Collection, Sequence

from polypool.brokers.redis.link import Word
from polypool.brokers.redis.record import DEAD, LETTERS, Words, ending
from polypool.brokers.stored import encoded
from polypool.core.codec import encode
from polypool.core.outcome import Again, Ended, Settlement
from polypool.core.port import Traits

KEPT_AT_MOST = 10 * 365 * 86_400.0


def words(settlements: Sequence[Settlement], traits: Traits, maybe_written: Collection[tuple[int, int]]) -> list[Word]:
    """MessageTooLarge where a follow-up is."""
    made = Words()
    for settlement in settlements:
        delivery, next = settlement.delivery, settlement.next
        is_retry = int((delivery.handle, delivery.token) in maybe_written)
        made.add(delivery.id, delivery.handle, delivery.token, is_retry)
        follow_ups = settlement.follow_ups
        if isinstance(next, Again):
            _add_again(made, next, len(follow_ups))
        else:
            made.add(_letter(next), min(next.ttl, KEPT_AT_MOST), "", ending(settlement, next), len(follow_ups))
        if follow_ups:
            for message, body in zip(follow_ups, encoded(follow_ups, traits), strict=True):
                made.add_message(message, body)
    return made.all()


def _add_again(made: Words, next: Again, follow_ups: int) -> None:
    due = "" if next.due is None else repr(next.due)
    made.add("A", next.deliveries, due)
    if next.message is None:
        made.add("", follow_ups, 0, 0)
    else:
        made.add(encode(next.message), follow_ups, made.place(next.message), next.message.priority)


def _letter(ended: Ended) -> str:
    return DEAD if ended.dead else LETTERS[ended.state]
