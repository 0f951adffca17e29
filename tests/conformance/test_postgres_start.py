"""How the PostgreSQL engine starts, or says why it cannot."""

import asyncio
from collections.abc import Iterator

import pytest

from polypool.brokers.open import migrate_engine, open_engine
from polypool.brokers.postgres.options import shown
from polypool.core.error import ConfigurationError, EngineDamaged, EngineUnreachable
from tests.conformance.scene import eventually
from tests.engines.postgres import Server, drop_schema, empty_schema, execute, private_server


@pytest.fixture
def url(postgres: str) -> Iterator[str]:
    """A schema of its own."""
    made = empty_schema(postgres)
    yield made
    drop_schema(made)


@pytest.fixture(scope="module")
def own_server() -> Iterator[Server]:
    """A server whose users and rules may be changed."""
    with private_server() as server:
        yield server


async def test_many_processes_that_open_an_empty_schema_at_once_make_it_once(url: str) -> None:
    engines = [open_engine(url) for _ in range(6)]
    await asyncio.gather(*(engine.broker.open() for engine in engines))
    assert [row[0] for row in execute(url, "SELECT version FROM migration")] == [1]
    await asyncio.gather(*(engine.broker.close() for engine in engines))


async def test_where_tables_are_not_to_be_made_the_command_is_named(url: str) -> None:
    with pytest.raises(EngineDamaged, match=r"missing.*polypool migrate"):
        await open_engine(f"{url}&migrate=no").broker.open()
    assert "from version 0 to 1" in await migrate_engine(url)
    assert "already up to date" in await migrate_engine(url)
    engine = open_engine(f"{url}&migrate=no")
    await engine.broker.open()
    await engine.broker.close()


async def test_tables_of_a_newer_release_are_refused(url: str) -> None:
    await migrate_engine(url)
    execute(url, "INSERT INTO migration (version) VALUES (99)")
    with pytest.raises(EngineDamaged, match=r"newer polypool .version 99.*upgrade"):
        await open_engine(url).broker.open()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("127.0.0.1:", "127.0.0.1:1#"), "cannot be reached"),
        (("/postgres?", "/nowhere?"), "no such database"),
        (("postgres@", "stranger@"), "does not let this user in"),
        (("?", "?sslmode=require&"), "cannot be reached|TLS|SSL"),
    ],
)
async def test_a_start_that_cannot_be_says_why_in_words(
    own_server: Server, change: tuple[str, str], words: str
) -> None:
    url = empty_schema(own_server.url).replace(*change)
    if "#" in url:
        url = url.partition("#")[0] + "/postgres"
    with pytest.raises(EngineUnreachable, match=words):
        await open_engine(url).broker.open()


async def test_a_wrong_password_is_called_that(own_server: Server) -> None:
    execute(own_server.url, "CREATE ROLE guarded LOGIN PASSWORD 'right'")
    rules = own_server.folder / "data" / "pg_hba.conf"
    before = rules.read_text()
    rules.write_text(f"host all guarded 127.0.0.1/32 scram-sha-256\n{before}")
    execute(own_server.url, "SELECT pg_reload_conf()")
    url = own_server.url.replace("postgres@", "guarded:wrong@", 1)

    async def is_refused() -> bool:
        try:
            await open_engine(url).broker.open()
        except EngineUnreachable as error:
            assert "wrong@" not in str(error), "a password is never shown"
            return "the password is wrong" in str(error)
        except EngineDamaged:
            return False  # the rules are not read again yet
        return False

    await eventually(is_refused)


async def test_a_user_without_rights_is_told_which(own_server: Server) -> None:
    execute(own_server.url, "CREATE ROLE poor LOGIN")
    with pytest.raises(EngineDamaged, match=r"lacks rights.*polypool migrate"):
        await open_engine(empty_schema(own_server.url).replace("postgres@", "poor@", 1)).broker.open()


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("poll=often", "poll is a number"),
        ("migrate=maybe", "yes or no"),
        ("schema=a.b", "letters, digits"),
        ("synchronous_commit=never", "synchronous_commit is"),
    ],
)
def test_a_wrong_option_is_refused_before_anything_is_connected(option: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        open_engine(f"postgresql://nobody@nowhere/x?{option}")


def test_a_url_is_shown_without_its_password() -> None:
    assert shown("postgresql://me:secret@host:5432/db?schema=x") == "postgresql://me@host:5432/db"
