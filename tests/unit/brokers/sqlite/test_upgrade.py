"""Files that an earlier release made."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from polypool.brokers.open import open_engine
from polypool.brokers.sqlite import file
from polypool.brokers.sqlite.options import Options
from polypool.brokers.sqlite.shared import prefixed
from polypool.core.message import Lane, Message
from polypool.core.report import Heartbeat

SCHEMA_1 = (Path(__file__).parent / "schema_1.sql").read_text()
PUT_1 = "INSERT INTO task (id, task, lane, state, priority, due, body) VALUES (?, 'app.work', 1, 'queued', 0, 1.0, ?)"
BODY = b"\x93\xa3old\xa8app.work\xc4\x03\x92\x90\x80"

Made = Callable[[Path], str]


def made_by_version_1(path: Path) -> str:
    with sqlite3.connect(path, isolation_level=None) as connection:
        connection.executescript(f"PRAGMA journal_mode = WAL; {SCHEMA_1}")
        connection.execute(f"PRAGMA application_id = {file.APPLICATION_ID}")
        connection.execute("PRAGMA user_version = 1")
        connection.execute("INSERT INTO lane (queue, pool) VALUES ('default', 'threads')")
        connection.execute(PUT_1, ["old", BODY])
    connection.close()
    return f"sqlite:///{path}"


def made_in_the_file_of_an_app(path: Path) -> str:
    with sqlite3.connect(path, isolation_level=None) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE customer (name TEXT)")
        for statement in SCHEMA_1.split(";\n"):
            connection.execute(prefixed(statement))
        connection.execute(f"CREATE TABLE {file.VERSION_TABLE} (version INTEGER NOT NULL)")
        connection.execute(f"INSERT INTO {file.VERSION_TABLE} VALUES (1)")
        connection.execute("INSERT INTO polypool_lane (queue, pool) VALUES ('default', 'threads')")
        connection.execute(prefixed(PUT_1), ["old", BODY])
    connection.close()
    return f"sqlite:///{path}?shared=yes"


@pytest.mark.parametrize("make", [made_by_version_1, made_in_the_file_of_an_app])
async def test_a_file_of_version_1_is_brought_up_to_date_and_loses_nothing(tmp_path: Path, make: Made) -> None:
    engine = open_engine(make(tmp_path / "tasks.db"), clock=lambda: 100.0)
    await engine.broker.open()
    await engine.broker.beat(Heartbeat("w1", "here", 1, 1.0, 60.0))
    [taken] = await engine.broker.take([Lane("default", "threads")], 5, "w1", 0)
    assert taken.message == Message("old", "app.work", b"\x92\x90\x80")
    new = Message("new", "app.work", b"\x92\x90\x80", pool="threads")
    assert list(await engine.claims.enroll([new], 30.0)) == [True]  # type: ignore[attr-defined]
    [claimed] = await engine.claims.claim([new], "w1")  # type: ignore[attr-defined]
    assert (claimed.token, claimed.deliveries) == (1, 1)
    await engine.broker.close()


@pytest.mark.parametrize("make", [made_by_version_1, made_in_the_file_of_an_app])
def test_a_file_brought_up_to_date_is_as_one_made_anew(tmp_path: Path, make: Made) -> None:
    make(tmp_path / "old.db")
    options = Options(shared=make is made_in_the_file_of_an_app)
    shapes = []
    for name in ("old.db", "new.db"):
        connection = file.connect(str(tmp_path / name), options)
        connection.execute("DROP TABLE IF EXISTS customer")
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE sql IS NOT NULL")]
        shapes.append(
            {
                table: sorted(connection.execute(f"SELECT * FROM pragma_{kind}('{table}')").fetchall())
                for table in tables
                for kind in ("table_info", "index_xinfo")
            }
        )
        connection.close()
    assert shapes[0] == shapes[1] and len(shapes[0]) > 10


async def test_a_process_that_has_the_file_open_goes_on_while_it_is_brought_up_to_date(tmp_path: Path) -> None:
    url = made_by_version_1(tmp_path / "tasks.db")
    former = sqlite3.connect(tmp_path / "tasks.db", isolation_level=None)
    assert former.execute("SELECT count(*) FROM task").fetchone() == (1,)
    engine = open_engine(url)
    await engine.broker.open()
    former.execute(PUT_1, ["from the former release", BODY])
    former.close()
    [record] = await engine.results.read(["from the former release"])
    assert record is not None and record.state == "queued"
    await engine.broker.close()
