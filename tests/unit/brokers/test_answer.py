"""Each Ask reaches its port, and each reply is of the type that its other end decodes."""

import msgspec
import pytest

from polypool.brokers.answer import answer
from polypool.brokers.open import open_engine
from polypool.core.ask import REPLY_TYPES, Ask, Await, Cancel, Follow, Put, Read
from polypool.core.message import Message

MESSAGE = Message(id="a", task="app.work", args=b"\x92\x90\x80")


@pytest.mark.parametrize("url", ["memory://", "sqlite:///{}/tasks.db"])
async def test_every_ask_is_answered_in_its_own_form(url: str, tmp_path: object) -> None:
    engine = open_engine(url.format(tmp_path))
    await engine.broker.open()
    asked: list[tuple[Ask, object]] = [
        (Put([MESSAGE, MESSAGE]), [True, False]),
        (Read(["a", "b"]), [("a", "queued"), None]),
        (Await(["a"], 0.0), []),
        (Follow("a", None, 0.0), ((), False)),
        (Cancel(["a", "b"]), [True, False]),
        (Await(["a"], 5.0), [("a", "cancelled")]),
    ]
    for ask, expected in asked:
        reply = await answer(engine, ask)
        carried = msgspec.msgpack.decode(msgspec.msgpack.encode(reply), type=REPLY_TYPES[type(ask)])
        assert carried == reply
        assert _short(reply) == expected
    await engine.broker.close()


def test_every_kind_of_ask_has_a_reply() -> None:
    assert set(REPLY_TYPES) == set(Ask.__args__)  # type: ignore[attr-defined]


def _short(reply: object) -> object:
    if isinstance(reply, list):
        return [one if one is None or isinstance(one, bool) else (one.id, one.state.value) for one in reply]
    return reply.events, reply.is_gone  # type: ignore[attr-defined]
