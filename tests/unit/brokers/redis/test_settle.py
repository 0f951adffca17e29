"""Settlements as words: what many share is said once."""

import pytest

from polypool.brokers.redis.settle import words
from polypool.core.error import MessageTooLarge
from polypool.core.lifecycle import State
from polypool.core.message import Delivery, Message
from polypool.core.outcome import Again, Ended, Settlement
from polypool.core.port import Traits


def delivery(id: str, token: int = 1) -> Delivery:
    return Delivery(Message(id, "app.work", b"", sent_at=1.0), b"", token, 1, 2.0, handle=3)


def ended(id: str, ttl: float = 60.0, follow_ups: tuple[Message, ...] = ()) -> Settlement:
    return Settlement(delivery(id), Ended(State.SUCCEEDED, value=b"\xc0", ttl=ttl), 5.0, follow_ups)


def test_a_manner_of_ending_is_said_once_for_all_that_share_it() -> None:
    made = words([ended("a"), ended("b"), ended("c", ttl=5.0)], Traits(), ())
    assert made[:10] == [0, 2, "S", "60.0", 0, 0, "S", "5.0", 0, 0]
    assert [made[at] for at in (10, 12, 14, 16, 18, 20)] == ["a", 1, "b", 1, "c", 2]
    assert made[11] == b"\0" * 7 + b"\x03" + b"\0\0\0\x01", "place in the line and token"


def test_a_settlement_that_may_have_been_written_says_so() -> None:
    made = words([ended("a"), Settlement(delivery("b", 2), ended("b").next, 5.0)], Traits(), {(3, 2)})
    assert made[1:10] == [2, "S", "60.0", 0, 0, "S", "60.0", 1, 0]


def test_what_waits_again_keeps_its_body_unless_it_is_another() -> None:
    message = Message("a", "app.work", b"", queue="slow", priority=4)
    made = words(
        [Settlement(delivery("a"), Again(1), 5.0), Settlement(delivery("b"), Again(0, 9.5, message), 5.0)], Traits(), ()
    )
    assert made[:3] == [1, "threads:slow", 4]
    assert made[12:16] == [1, "", b"", 0]
    assert made[20:22] == [0, "9.5"] and made[23] == 1


def test_what_is_kept_for_ever_is_kept_for_ten_years() -> None:
    assert float(str(words([ended("a", ttl=1e300)], Traits(), ())[3])) < 4e8


def test_a_message_that_follows_may_not_be_too_large() -> None:
    large = Message("b", "app.work", bytes(2000))
    with pytest.raises(MessageTooLarge):
        words([ended("a", follow_ups=(large,))], Traits(max_message_bytes=1000), ())
