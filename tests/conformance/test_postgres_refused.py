"""A PostgreSQL server that will not do: each reason in the very words that a user reads.

What waiting cannot mend is EngineDamaged, so that a worker says it and ends; EngineUnreachable is tried again.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from polypool.brokers.open import migrate_engine, open_engine
from polypool.core.error import ConfigurationError, EngineDamaged, EngineUnreachable
from polypool.core.message import Message
from tests.conformance.scene import eventually, message
from tests.engines.certificates import make
from tests.engines.postgres import Server, empty_schema, execute, hot_standby, private_server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server whose users and rules may be changed."""
    with private_server() as made:
        yield made


async def refusal(url: str) -> str:
    """What is said at the start, without the server's address: that is checked here."""
    engine = open_engine(url)
    with pytest.raises(EngineDamaged) as caught:
        await engine.broker.open()
    address, _, words = str(caught.value).partition(": ")
    assert address == engine.place and ":wrong" not in str(caught.value), "never a password"
    return words


async def test_a_server_that_is_not_there_is_worth_waiting_for(server: Server) -> None:
    with pytest.raises(EngineUnreachable) as caught:
        await open_engine("postgresql://me:wrong@127.0.0.1:1/db").broker.open()
    assert str(caught.value) == (
        "postgresql://me@127.0.0.1:1/db: cannot be reached (Connection refused); is the server up, are host and port "
        "right?"
    )


async def test_a_database_that_does_not_exist(server: Server) -> None:
    assert await refusal(f"{server.url.rpartition('/')[0]}/nowhere") == (
        "there is no such database; create it (`createdb NAME`) or name another in the URL "
        '(PostgreSQL says: database "nowhere" does not exist)'
    )


async def test_a_user_that_does_not_exist(server: Server) -> None:
    words = await refusal(server.url.replace("postgres@", "stranger@"))
    assert words.startswith("the server does not let this user in from here; check the user's name, TLS")
    assert words.endswith('(PostgreSQL says: role "stranger" does not exist)')


async def test_a_wrong_password(server: Server) -> None:
    execute(server.url, "CREATE ROLE guarded LOGIN PASSWORD 'right'")
    rules = server.folder / "data" / "pg_hba.conf"
    rules.write_text(f"host all guarded 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")
    execute(server.url, "SELECT pg_reload_conf()")
    url = server.url.replace("postgres@", "guarded:wrong@", 1)
    found: list[str] = []

    async def is_refused() -> bool:
        found.append(await refusal(url))
        return "password" in found[-1]  # before, the old rules let this user in, who may do nothing

    await eventually(is_refused, 30)
    assert found[-1] == (
        "the password is wrong; correct it in the broker's URL (or PGPASSWORD, or ~/.pgpass) "
        '(PostgreSQL says: password authentication failed for user "guarded")'
    )


async def test_a_user_without_rights_on_the_database(server: Server) -> None:
    execute(server.url, "CREATE ROLE poor LOGIN")
    words = await refusal(empty_schema(server.url).replace("postgres@", "poor@", 1))
    assert words.startswith(
        "this user lacks rights; let the schema's owner run `polypool migrate`, then grant USAGE on the schema and "
        "SELECT, INSERT, UPDATE, DELETE on its tables"
    )


async def test_a_user_with_rights_on_the_schema_only_is_told_when_it_sends(server: Server) -> None:
    url = empty_schema(server.url)
    schema = url.rpartition("=")[2]
    await migrate_engine(url)
    execute(url, "CREATE ROLE half LOGIN")
    execute(url, f"GRANT USAGE ON SCHEMA {schema} TO half")
    execute(url, f"GRANT SELECT ON {schema}.migration TO half")
    engine = open_engine(url.replace("postgres@", "half@", 1))
    await engine.broker.open()
    with pytest.raises(EngineDamaged, match=r"lacks rights.*permission denied for table lane"):
        await engine.broker.put([Message("a", "app.work", b"\x92\x90\x80")])
    await engine.broker.close()


async def test_a_server_that_is_too_old_is_told_which_is_needed(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("polypool.brokers.postgres.migrate.OLDEST_SERVER", 99)
    version = execute(server.url, "SHOW server_version_num")[0][0]
    assert await refusal(server.url) == (
        f"is PostgreSQL {int(version) // 10000}; polypool needs 99 or newer: upgrade it"
    )


async def test_a_database_in_another_encoding(server: Server) -> None:
    made = "CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
    await server.alone(made)
    assert await refusal(f"{server.url.rpartition('/')[0]}/latin") == (
        "the database's encoding is LATIN1; create one with `createdb -E UTF8 NAME`"
    )


async def test_a_hot_standby(server: Server) -> None:
    with hot_standby(server) as standby:
        assert await refusal(standby.url) == "is a read-only replica; name the primary in the broker's URL"


async def test_a_server_that_lets_nobody_write(server: Server) -> None:
    execute(server.url, "CREATE ROLE reader LOGIN")
    execute(server.url, "ALTER ROLE reader SET default_transaction_read_only = on")
    assert await refusal(server.url.replace("postgres@", "reader@", 1)) == (
        "lets this user only read (default_transaction_read_only); "
        "`ALTER ROLE … SET default_transaction_read_only = off`, or set it for the database or the server"
    )


async def test_a_server_that_becomes_read_only_is_left_for_the_one_that_the_url_leads_to_now(server: Server) -> None:
    """After a failover: the old connection still leads to what was the primary."""
    engine = open_engine(empty_schema(server.url))
    await engine.broker.open()
    await engine.broker._session._connection.execute("SET default_transaction_read_only = on")  # type: ignore[attr-defined]
    with pytest.raises(EngineDamaged, match="this server is read-only"):
        await engine.broker.put([message("a")])
    assert await engine.broker.put([message("a")]) == [True]
    await engine.broker.close()


async def test_tls_that_the_server_does_not_speak(server: Server) -> None:
    assert await refusal(f"{server.url}?sslmode=require") == (
        "the server speaks no TLS and ?sslmode= insists on it; switch it on there (ssl = on), or leave sslmode out of "
        "the broker's URL"
    )


async def test_tls_with_the_right_authority_with_a_wrong_one_and_with_a_wrong_name(
    server: Server, tmp_path: Path
) -> None:
    certificate, key = make(server.folder)
    other, _ = make(tmp_path, "other")
    key.chmod(0o600)
    for path in (certificate, key):
        server.own(path)
    server.set(ssl="on", ssl_cert_file=str(certificate), ssl_key_file=str(key))
    by_name = empty_schema(server.url.replace("127.0.0.1", "localhost"))
    for good in (
        f"{empty_schema(server.url)}&sslmode=require",
        f"{by_name}&sslmode=verify-full&sslrootcert={certificate}",
    ):
        engine = open_engine(good)
        await engine.broker.open()
        assert await engine.broker.put([message("a")]) == [True]
        await engine.broker.close()
    assert await refusal(f"{by_name}&sslmode=verify-full&sslrootcert={other}") == (
        "no TLS connection; the server's certificate is not trusted (self-signed certificate): ?sslrootcert=FILE names "
        "the authority that signed it; its name must be the host in the URL"
    )


async def test_a_word_of_the_driver_s_that_it_does_not_know(server: Server) -> None:
    with pytest.raises(ConfigurationError, match=r"the broker's URL is not understood: .*sslmode.* must be one of"):
        await open_engine(f"{server.url}?sslmode=sometimes").broker.open()
