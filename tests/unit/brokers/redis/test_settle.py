"""Settlements as words: what many share is said once."""

import struct
from typing import Any

import pytest

from polypool.brokers.redis.settle import words
from polypool.core.error import MessageTooLarge
from polypool.core.join import Flow, Signal
from polypool.core.lifecycle import State
from polypool.core.message import Delivery, Message
from polypool.core.outcome import Again, Ended, Settlement
from polypool.core.port import Traits


def delivery(id: str, token: int = 1) -> Delivery:
    return Delivery(Message(id, "app.work", b"", sent_at=1.0), b"", token, 1, 2.0, handle=3)


def ended(id: str, ttl: float = 60.0, follow_ups: tuple[Message, ...] = (), **more: Any) -> Settlement:
    return Settlement(delivery(id), Ended(State.SUCCEEDED, value=b"\xc0", ttl=ttl), 5.0, follow_ups, **more)


def test_a_manner_of_ending_is_said_once_for_all_that_share_it() -> None:
    made = words([ended("a"), ended("b"), ended("c", ttl=5.0)], Traits(), ())
    assert made[:15] == [0, 0, 2, "S", "60.0", 0, 0, 0, 0, "S", "5.0", 0, 0, 0, 0]
    assert [made[at] for at in (15, 17, 19, 21, 23, 25)] == ["a", 1, "b", 1, "c", 2]
    assert made[16] == b"\0" * 7 + b"\x03" + b"\0\0\0\x01", "place in the line and token"


def test_a_settlement_that_may_have_been_written_says_so() -> None:
    made = words([ended("a"), Settlement(delivery("b", 2), ended("b").next, 5.0)], Traits(), {(3, 2)})
    assert made[2:15] == [2, "S", "60.0", 0, 0, 0, 0, "S", "60.0", 1, 0, 0, 0]


def test_what_waits_again_keeps_its_body_unless_it_is_another() -> None:
    message = Message("a", "app.work", b"", queue="slow", priority=4)
    made = words(
        [Settlement(delivery("a"), Again(1), 5.0), Settlement(delivery("b"), Again(0, 9.5, message), 5.0)], Traits(), ()
    )
    assert made[:4] == [1, "threads:slow", 4, 0]
    assert made[16:20] == [1, "", b"", 0]
    assert made[24:26] == [0, "9.5"] and made[27] == 1


def test_what_waits_again_for_other_steps_says_for_how_many() -> None:
    waiting = Message("a", "app.work", b"", flow=Flow(3, countdown=2.0))
    made = words([Settlement(delivery("a"), Again(0, message=waiting), 5.0)], Traits(), ())
    assert made[-3] == b"w" + struct.pack(">dd", -2.0, 3.0)


def test_a_step_that_many_tell_is_named_once_and_so_is_a_cause() -> None:
    marks = [ended(str(place), signals=(Signal("body", "mark", place),)) for place in range(3)]
    breaks = ended("x", signals=(Signal("body", "break", 3, b"why"), Signal("else", "break", 0, b"why")))
    made = words([*marks, breaks, ended("y", signals=(Signal("back", "drop"),))], Traits(), ())
    assert made[:6] == [0, 4, "body", b"why", "else", "back"] or made[:6] == [0, 4, "body", "else", b"why", "back"]
    place = {name: made.index(name) - 1 for name in ("body", b"why", "else", "back")}
    assert [
        word for word in made if isinstance(word, bytes) and word[:1] in b"mbd" and len(word) % 9 == 0 and word
    ] == [
        *(struct.pack(">cII", b"m", place["body"], at) for at in range(3)),
        struct.pack(">cII", b"b", place["body"], place[b"why"])
        + struct.pack(">cII", b"b", place["else"], place[b"why"]),
        struct.pack(">cII", b"d", place["back"], 0),
    ]


def test_a_body_that_is_kept_is_another_manner() -> None:
    kept = Settlement(delivery("b"), Ended(State.SUCCEEDED, value=b"\xc0", ttl=60.0, keeps_body=True), 5.0)
    made = words([ended("a"), kept], Traits(), ())
    assert made[2:15] == [2, "S", "60.0", 0, 0, 0, 0, "S", "60.0", 0, 0, 1, 0]


def test_what_is_kept_for_ever_is_kept_for_ten_years() -> None:
    assert float(str(words([ended("a", ttl=1e300)], Traits(), ())[4])) < 4e8


def test_a_message_that_follows_may_not_be_too_large() -> None:
    large = Message("b", "app.work", bytes(2000))
    with pytest.raises(MessageTooLarge):
        words([ended("a", follow_ups=(large,))], Traits(max_message_bytes=1000), ())
