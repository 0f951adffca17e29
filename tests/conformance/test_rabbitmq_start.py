"""What the RabbitMQ engine says about a server that will not do."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from polypool.brokers.open import open_engine
from polypool.brokers.rabbitmq.check import Server
from polypool.core.error import EngineDamaged, EngineError, EngineUnreachable
from tests.engines import rabbitmq


async def refusal(url: str) -> EngineError:
    engine = open_engine(url, backend="memory://")
    with pytest.raises(EngineError) as caught:
        await engine.broker.open()
    await engine.broker.close()
    assert "secret" not in str(caught.value)
    return caught.value


async def test_a_server_that_is_not_there_is_unreachable() -> None:
    error = await refusal("amqp://u:secret@127.0.0.1:1/shop?timeout=5")
    assert isinstance(error, EngineUnreachable)
    assert "is it running" in str(error) and "amqp://127.0.0.1:1/shop" in str(error)


async def test_a_wrong_password_is_said_without_showing_it() -> None:
    server = rabbitmq.url().rpartition("@")[2]
    error = await refusal(f"amqp://guest:secret@{server}")
    assert isinstance(error, EngineDamaged)
    assert "wrong user or password" in str(error)


async def test_a_virtual_host_that_is_not_there_is_named_with_what_makes_one() -> None:
    server = rabbitmq.url().partition("?")[0].rstrip("/")
    error = await refusal(f"{server}/nowhere")
    assert isinstance(error, EngineDamaged)
    assert "rabbitmqctl add_vhost" in str(error) and "nowhere" in str(error)


async def test_another_kind_of_server_is_recognised() -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    web = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with web:
        error = await refusal(f"amqp://u:secret@127.0.0.1:{web.sockets[0].getsockname()[1]}")
    assert isinstance(error, EngineDamaged)
    assert "no RabbitMQ; is this port AMQP's" in str(error)


async def test_tls_towards_a_plain_port_is_told_as_such() -> None:
    server = rabbitmq.url().rpartition("@")[2]
    error = await refusal(f"amqps://guest:secret@{server}?timeout=10")
    assert isinstance(error, EngineDamaged)
    assert "amqps:// needs a TLS port" in str(error)


@pytest.fixture
def mute() -> Iterator[int]:
    """The port of something that takes connections and never says a word."""
    import socket

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


async def test_a_server_that_says_nothing_is_given_up_in_time(mute: int) -> None:
    error = await asyncio.wait_for(refusal(f"amqp://u:secret@127.0.0.1:{mute}?timeout=0.5"), 60)
    assert isinstance(error, EngineUnreachable)
    assert "no answer in time" in str(error)


def test_a_server_that_is_too_old_is_told_which_it_takes() -> None:
    with pytest.raises(EngineDamaged, match=r"RabbitMQ 3\.5\.7; polypool needs 3\.6"):
        Server.of({"product": "RabbitMQ", "version": "3.5.7"}, "amqp://here")


@pytest.mark.parametrize(
    ("product", "version", "wanted", "arguments"),
    [
        ("RabbitMQ", "3.7.28", None, [{}]),
        ("RabbitMQ", "3.10.8", None, [{"x-queue-type": "quorum"}]),
        ("RabbitMQ", "3.10.8", "classic", [{"x-max-priority": 20, "x-queue-type": "classic"}]),
        ("RabbitMQ", "4.1.0", None, [{"x-queue-type": "quorum", "x-delivery-limit": -1}, {"x-queue-type": "quorum"}]),
        ("LavinMQ", "2.2.0", None, [{}]),
    ],
)
def test_queues_are_made_as_the_server_can_make_them(
    product: str, version: str, wanted: str | None, arguments: list[dict[str, object]]
) -> None:
    made = Server.of({"product": product, "version": version}, "amqp://here").arguments(wanted)
    assert made == arguments


async def test_a_file_of_certificates_that_is_not_there_is_named(tmp_path: Path) -> None:
    engine = open_engine(f"amqps://here?cafile={tmp_path}/none.pem", backend="memory://")
    with pytest.raises(Exception, match=r"cannot use .*none\.pem"):
        await engine.broker.open()


async def test_the_backend_is_told_apart_from_the_broker(tmp_path: Path) -> None:
    engine = open_engine(rabbitmq.fresh_url(), backend="redis://127.0.0.1:1?timeout=2")
    with pytest.raises(EngineUnreachable, match=r"redis://127\.0\.0\.1:1"):
        await engine.broker.open()
