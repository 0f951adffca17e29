"""What `task.using(connection)` refuses, and what it says then; and how tests of an app see it."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from polypool import Polypool
from polypool.core.error import ConfigurationError, EngineDamaged, EngineUnreachable, TraitMissing
from polypool.testing import captured, run_in_place

FILE = "shop.db"


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Polypool]:
    monkeypatch.chdir(tmp_path)
    made = Polypool("shop", broker=f"sqlite:///{FILE}?shared=yes")

    @made.task(name="mail")
    def mail(to: str) -> str:
        return to.upper()

    yield made
    made.close()


@pytest.fixture
def connection(app: Polypool, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(tmp_path / FILE)
    yield connection
    connection.close()


@pytest.mark.parametrize("broker", ["memory://", "redis://localhost"])
def test_an_engine_without_transactions_says_which_have_them(broker: str, connection: sqlite3.Connection) -> None:
    app = Polypool("shop", broker=broker)
    task = app.task(name="mail")(lambda to: to)
    with pytest.raises(TraitMissing, match=r"postgresql://.*sqlite:///.*amqp://.*after the commit"):
        task.using(connection)


def test_behind_rabbitmq_it_is_the_backends_transaction(app: Polypool, connection: sqlite3.Connection) -> None:
    backend = f"sqlite:///{FILE}?shared=yes"
    carried = Polypool("shop", broker="amqp://localhost", backend=backend)
    kept = Polypool("shop", broker=backend)
    result = carried.task(name="mail")(lambda to: to).using(connection).delay("ann")
    assert kept.result(result.id).status == "unknown"
    connection.commit()
    assert kept.result(result.id).status == "queued"
    kept.close()


@pytest.mark.parametrize("given", [None, "sqlite:///shop.db", object()])
def test_what_is_no_connection_is_refused_with_what_is_one(app: Polypool, given: object) -> None:
    with pytest.raises(ConfigurationError, match=r"psycopg's Connection.*take a connection first"):
        app.tasks["mail"].using(given)


def test_a_connection_to_another_file_is_refused_with_what_to_write(app: Polypool, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "other.db")
    with pytest.raises(ConfigurationError, match=r"other\.db.*the app's broker is .*shop\.db.*shared=yes"):
        app.tasks["mail"].using(other).delay("ann")
    other.close()
    memory = sqlite3.connect(":memory:")
    with pytest.raises(ConfigurationError, match=r"no file \(in memory\)"):
        app.tasks["mail"].using(memory).delay("ann")
    memory.close()


def test_the_brokers_file_attached_to_another_is_refused_since_a_crash_could_split_the_commit(
    app: Polypool, tmp_path: Path
) -> None:
    app.result("none").status  # noqa: B018 — makes the tables
    other = sqlite3.connect(tmp_path / "other.db")
    other.execute("ATTACH ? AS tasks", [str(tmp_path / FILE)])
    with pytest.raises(ConfigurationError, match=r"attached.*'tasks'.*crash"):
        app.tasks["mail"].using(other).delay("ann")
    other.close()


def test_a_connection_that_commits_by_itself_is_refused_until_a_transaction_is_begun(
    app: Polypool, tmp_path: Path
) -> None:
    connection = sqlite3.connect(tmp_path / FILE, isolation_level=None)
    task = app.tasks["mail"]
    with pytest.raises(ConfigurationError, match="BEGIN IMMEDIATE"):
        task.using(connection).delay("ann")
    connection.execute("BEGIN IMMEDIATE")
    result = task.using(connection).delay("ann")
    connection.execute("COMMIT")
    assert result.status == "queued"
    connection.close()


def test_missing_tables_in_a_file_whose_lock_the_sender_holds_are_made_by_a_command_that_is_named(
    app: Polypool, connection: sqlite3.Connection
) -> None:
    connection.execute("BEGIN IMMEDIATE")
    with pytest.raises(EngineUnreachable, match="polypool migrate"):
        app.tasks["mail"].using(connection).delay("ann")
    connection.rollback()
    app.tasks["mail"].using(connection).delay("ann")


def test_the_apps_own_tables_may_have_the_names_that_polypools_have_elsewhere(
    app: Polypool, connection: sqlite3.Connection
) -> None:
    for name in ("task", "lane", "worker", "event", "tally", "trimmed", "clock"):
        connection.execute(f"CREATE TABLE {name} (mine TEXT)")
    connection.execute("PRAGMA user_version = 77")
    connection.commit()
    result = app.tasks["mail"].using(connection).delay("ann")
    connection.execute("INSERT INTO task VALUES ('mine')")
    connection.commit()
    assert result.status == "queued"
    assert connection.execute("PRAGMA user_version").fetchone() == (77,)
    assert connection.execute("SELECT mine FROM task").fetchall() == [("mine",)]


def test_a_file_of_the_apps_is_not_taken_over_unasked(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE orders (n INTEGER)")
    connection.commit()
    app = Polypool("shop", broker=f"sqlite:///{FILE}")
    with pytest.raises(EngineDamaged, match="shared=yes"):
        app.task(name="mail")(lambda to: to).delay("ann")
    app.close()


def test_a_lock_that_another_process_holds_stays_the_drivers_error_with_advice_beside_it(
    app: Polypool, connection: sqlite3.Connection, tmp_path: Path
) -> None:
    app.result("none").status  # noqa: B018 — makes the tables
    connection.execute("BEGIN IMMEDIATE")
    hasty = sqlite3.connect(tmp_path / FILE, timeout=0)
    with pytest.raises(sqlite3.OperationalError, match="locked") as caught:
        app.tasks["mail"].using(hasty).delay("ann")
    assert "BEGIN IMMEDIATE" in "".join(caught.value.__notes__)
    hasty.close()


def test_captured_sees_what_is_sent_inside_a_transaction(app: Polypool, connection: sqlite3.Connection) -> None:
    with captured(app) as sent:
        app.tasks["mail"].using(connection).delay("ann")
        app.tasks["mail"].using(object()).map(["bob", "cid"])
    assert [one.args for one in sent] == [("ann",), ("bob",), ("cid",)]
    assert not connection.in_transaction


async def test_captured_refuses_the_twin_of_the_other_colour(app: Polypool, connection: sqlite3.Connection) -> None:
    with captured(app) as sent, pytest.raises(ConfigurationError, match="without await"):
        await app.tasks["mail"].using(connection).adelay("ann")
    assert not sent


def test_in_place_it_runs_when_it_is_waited_for_and_not_inside_the_transaction(
    app: Polypool, connection: sqlite3.Connection
) -> None:
    with run_in_place(app) as place:
        result = app.tasks["mail"].using(connection).delay("ann")
        other = app.tasks["mail"].using(connection).delay("bob")
        assert result.status == "queued"
        connection.commit()
        assert result.get() == "ANN"
        place.advance(0)
        assert other.status == "succeeded"
        assert len(place.sent) == 2


def test_after_a_test_sends_go_over_the_connection_again(app: Polypool, connection: sqlite3.Connection) -> None:
    with captured(app):
        pass
    with run_in_place(app):
        pass
    result = app.tasks["mail"].using(connection).delay("ann")
    assert (connection.in_transaction, result.status) == (True, "unknown")
    connection.commit()
    assert result.status == "queued"
