"""What the Redis engine says about a server that will not do, or a URL that cannot be meant."""

import asyncio
import logging

import pytest

from polypool.brokers.open import open_engine
from polypool.core.error import ConfigurationError, EngineDamaged, EngineError, EngineUnreachable
from tests.engines import redis


async def refusal(url: str) -> EngineError:
    engine = open_engine(url)
    with pytest.raises(EngineError) as caught:
        await engine.broker.open()
    await engine.broker.close()
    return caught.value


async def opened(url: str) -> None:
    engine = open_engine(url)
    await engine.broker.open()
    await engine.broker.close()


async def test_a_server_that_is_not_there_is_unreachable() -> None:
    error = await refusal("redis://127.0.0.1:1?timeout=2")
    assert isinstance(error, EngineUnreachable)
    assert "is it running" in str(error) and "redis://127.0.0.1:1" in str(error)


async def test_a_wrong_password_is_said_without_showing_it() -> None:
    server = redis.Server("--requirepass", "right")
    try:
        for url in (server.url, server.url.replace("://", "://:secret@")):
            error = await refusal(url)
            assert isinstance(error, EngineDamaged)
            assert "password" in str(error) and "secret" not in str(error)
        await opened(server.url.replace("://", "://:right@"))
    finally:
        server.remove()


async def test_tls_to_a_port_that_speaks_something_else_is_told_from_a_server_that_is_down() -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"-ERR what do you mean?\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        error = await refusal(f"rediss://127.0.0.1:{port}?timeout=60")
    assert isinstance(error, EngineDamaged)
    assert "TLS" in str(error) and "ssl_ca_certs" in str(error)


async def test_tls_to_a_plain_server_that_says_nothing_asks_whether_it_is_a_tls_port() -> None:
    error = await refusal(f"{redis.url().replace('redis://', 'rediss://')}?timeout=0.3")
    assert isinstance(error, EngineUnreachable)
    assert "TLS port" in str(error)


async def test_a_replica_is_refused_and_its_primary_named() -> None:
    server = redis.Server("--replicaof", "127.0.0.1", "1")
    try:
        error = await refusal(server.url)
        assert "replica of 127.0.0.1:1" in str(error) and "primary" in str(error)
    finally:
        server.remove()


async def test_a_database_that_does_not_exist_is_named() -> None:
    assert "no such database" in str(await refusal(f"{redis.url()}/4711"))


async def test_a_server_that_would_throw_tasks_away_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    server = redis.Server("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
    try:
        error = await refusal(server.url)
        assert isinstance(error, EngineDamaged)
        assert "maxmemory-policy noeviction" in str(error)
        with redis.client(server.url) as admin:
            admin.config_set("maxmemory-policy", "volatile-lru")
        with caplog.at_level(logging.WARNING, "polypool.redis"):
            await opened(server.url)
        assert "volatile-lru" in caplog.text
    finally:
        server.remove()


async def test_a_server_that_writes_nothing_to_disk_is_used_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    server = redis.Server()
    try:
        with caplog.at_level(logging.WARNING, "polypool.redis"):
            await opened(server.url)
            assert "loses all tasks" in caplog.text
            caplog.clear()
            with redis.client(server.url) as admin:
                admin.config_set("appendonly", "yes")
            await opened(server.url)
            assert caplog.text == ""
    finally:
        server.remove()


async def test_keys_of_another_release_are_left_alone() -> None:
    url = redis.fresh_url()
    with redis.client(url) as admin:
        admin.set(f"{redis.prefix(url)}layout", "99")
    error = await refusal(url)
    assert isinstance(error, EngineDamaged) and "layout" in str(error)
    redis.clean(url)


async def test_keys_of_the_last_layout_are_read_and_are_of_this_one_from_then_on() -> None:
    url = redis.fresh_url()
    with redis.client(url) as admin:
        admin.set(f"{redis.prefix(url)}layout", "2")
        await opened(url)
        assert admin.get(f"{redis.prefix(url)}layout") == b"3", "workers of the release before refuse to start"
    redis.clean(url)


async def test_a_server_that_does_not_answer_is_given_up_after_the_timeout() -> None:
    server = redis.Server()
    try:
        with redis.client(server.url) as admin:
            admin.client_pause(600_000)
        assert isinstance(await refusal(f"{server.url}?timeout=0.3"), EngineUnreachable)
    finally:
        server.remove()


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("prefx=a", "prefx"),
        ("prefix=", "prefix"),
        ("prefix={a}", "prefix"),
        ("timeout=soon", "seconds"),
        ("timeout=0", "above 0"),
    ],
)
def test_an_option_that_cannot_be_meant_is_named(query: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        open_engine(f"redis://:secret@localhost?{query}")
