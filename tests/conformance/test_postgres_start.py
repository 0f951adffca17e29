"""How the PostgreSQL engine starts, or says why it cannot."""

import asyncio
from collections.abc import Iterator

import pytest

from polypool.brokers.open import migrate_engine, open_engine
from polypool.brokers.postgres import migrate
from polypool.brokers.postgres.migrate import SCHEMA
from polypool.brokers.postgres.options import shown
from polypool.brokers.postgres.statements import MIGRATIONS
from polypool.core.codec import encode
from polypool.core.error import ConfigurationError, EngineDamaged
from polypool.core.join import Flow, Next
from tests.conformance.joins_seen import ended, opened, take
from tests.conformance.scene import ids, message
from tests.engines.postgres import drop_schema, empty_schema, execute


@pytest.fixture
def url(postgres: str) -> Iterator[str]:
    """A schema of its own."""
    made = empty_schema(postgres)
    yield made
    drop_schema(made)


async def test_many_processes_that_open_an_empty_schema_at_once_make_it_once(url: str) -> None:
    engines = [open_engine(url) for _ in range(6)]
    await asyncio.gather(*(engine.broker.open() for engine in engines))
    assert [row[0] for row in execute(url, "SELECT version FROM migration ORDER BY version")] == [*range(1, SCHEMA + 1)]
    await asyncio.gather(*(engine.broker.close() for engine in engines))


async def test_where_tables_are_not_to_be_made_the_command_is_named(url: str) -> None:
    with pytest.raises(EngineDamaged, match=r"missing.*polypool migrate"):
        await open_engine(f"{url}&migrate=no").broker.open()
    assert f"from version 0 to {SCHEMA}" in await migrate_engine(url)
    assert "already up to date" in await migrate_engine(url)
    engine = open_engine(f"{url}&migrate=no")
    await engine.broker.open()
    await engine.broker.close()


async def test_tables_of_an_earlier_release_are_said_and_then_brought_up_to_date(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr(migrate, "SCHEMA", 1)
        earlier.setattr(migrate, "MIGRATIONS", MIGRATIONS[:1])
        assert "from version 0 to 1" in await migrate_engine(url)
    execute(url, "INSERT INTO lane (queue, pool) VALUES ('default', 'threads')")
    execute(url, "INSERT INTO task (id, task, lane, priority, due) VALUES ('old', 'app.work', 1, 0, 1.0)")
    execute(url, "INSERT INTO live (seq, lane, state, priority, due) SELECT seq, lane, 'queued', 0, due FROM task")
    with pytest.raises(EngineDamaged, match=rf"of version 1 .* needs version {SCHEMA}; run `polypool migrate"):
        await open_engine(f"{url}&migrate=no").broker.open()
    assert f"from version 1 to {SCHEMA}" in await migrate_engine(url)
    engine = open_engine(f"{url}&migrate=no")
    await engine.broker.open()
    [record] = await engine.results.read(["old"])
    assert record is not None and record.state == "queued"
    await engine.broker.close()


async def test_tables_of_the_release_before_workflows_are_brought_up_to_date(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr(migrate, "SCHEMA", 2)
        earlier.setattr(migrate, "MIGRATIONS", MIGRATIONS[:2])
        assert "from version 0 to 2" in await migrate_engine(url)
    execute(url, "INSERT INTO lane (queue, pool) VALUES ('default', 'threads')")
    body = encode(message("old"))
    execute(url, "INSERT INTO task (id, task, lane, priority, due, body) VALUES ('old', 'app.work', 1, 0, 1, $1)", body)
    execute(url, "INSERT INTO live (seq, lane, state, priority, due) SELECT seq, lane, 'queued', 0, due FROM task")
    with pytest.raises(EngineDamaged, match=r"of version 2 .* needs version 3; run `polypool migrate"):
        await open_engine(f"{url}&migrate=no").broker.open()
    assert "from version 2 to 3" in await migrate_engine(url)
    engine = await opened(f"{url}&migrate=no", "w1")
    await engine.broker.put([message("a", flow=Flow(then=(Next("b"),))), message("b", flow=Flow(1))])
    taken = await take(engine)
    assert ids(taken) == ["old", "a"]
    assert all(await engine.broker.settle([ended(one) for one in taken]))
    assert ids(await take(engine)) == ["b"]
    await engine.broker.close()


async def test_tables_of_a_newer_release_are_refused(url: str) -> None:
    await migrate_engine(url)
    execute(url, "INSERT INTO migration (version) VALUES (99)")
    with pytest.raises(EngineDamaged, match=r"newer polypool .version 99.*upgrade"):
        await open_engine(url).broker.open()


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("poll=often", "poll is a number"),
        ("migrate=maybe", "yes or no"),
        ("schema=a.b", "letters, digits"),
        ("synchronous_commit=never", "synchronous_commit is"),
        (
            "sslmode=verify-full&sslrootcert=/nowhere/ca.pem",
            "sslrootcert names a file that is not there: /nowhere/ca.pem",
        ),
    ],
)
def test_a_wrong_option_is_refused_before_anything_is_connected(option: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        open_engine(f"postgresql://nobody@nowhere/x?{option}")


def test_a_url_is_shown_without_its_password() -> None:
    assert shown("postgresql://me:secret@host:5432/db?schema=x") == "postgresql://me@host:5432/db"
