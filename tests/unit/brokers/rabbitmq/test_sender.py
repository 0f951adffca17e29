"""What becomes of messages that the server refuses; the server itself is in tests/conformance."""

from collections.abc import Sequence

import pytest

from polypool.brokers.rabbitmq import sender
from polypool.brokers.rabbitmq.options import Options
from polypool.brokers.rabbitmq.sender import Batch, Sender
from polypool.core.message import Message


class RefusingSender(Sender):
    """To a server that refuses the last of what it is sent, so many times."""

    def __init__(self, refusals: int) -> None:
        super().__init__(Options.parse("amqp://127.0.0.1"))
        self.refusals = refusals
        self.sent: list[list[str]] = []

    async def _is_ready_again(self, lanes: object, deadline: float) -> bool:
        return True

    async def _publish(self, messages: Sequence[Message], bodies: Sequence[bytes], deadline: float) -> Batch:
        batch = Batch(len(messages))
        self.sent.append([message.id for message in messages])
        all_of_them = list(range(len(messages)))
        is_refusing = len(self.sent) <= self.refusals
        batch.refused = all_of_them[-1:] if is_refusing else []
        batch.confirmed = all_of_them[:-1] if is_refusing else all_of_them
        return batch


def messages(*ids: str) -> list[Message]:
    return [Message(id, "work", b"") for id in ids]


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "FIRST_PAUSE", 0.001)


async def test_what_is_refused_for_a_moment_is_published_again_and_nothing_else() -> None:
    publisher = RefusingSender(2)
    assert await publisher.publish(messages("a", "b", "c"), [b""] * 3) == ([0, 1, 2], [])
    assert publisher.sent == [["a", "b", "c"], ["c"], ["c"]]


async def test_what_goes_on_being_refused_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "REFUSED_FOR", 0.02)
    publisher = RefusingSender(1000)
    assert await publisher.publish(messages("a", "b"), [b""] * 2) == ([0], [1])
    assert publisher.sent[0] == ["a", "b"]
    assert len(publisher.sent) > 1, "it was tried again"
    assert {*map(tuple, publisher.sent[1:])} == {("b",)}
