"""Files that an earlier release made."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from polypool.brokers.open import open_engine
from polypool.brokers.sqlite import file
from polypool.brokers.sqlite.options import Options
from polypool.brokers.sqlite.shared import Connection, prefixed
from polypool.core.error import EngineDamaged
from polypool.core.join import Flow
from polypool.core.lifecycle import State
from polypool.core.message import Lane, Message
from polypool.core.report import Heartbeat, Search

HERE = Path(__file__).parent
SCHEMAS = {version: (HERE / f"schema_{version}.sql").read_text() for version in (1, 2)}
PUT = "INSERT INTO task (id, task, lane, state, priority, due, body) VALUES (?, 'app.work', 1, 'queued', 0, 1.0, ?)"
BEAT = (
    "INSERT INTO worker (name, run, heartbeat, lease_until, seen_at) VALUES (?, 'here 1 1.0', x'80', ?, ?) "
    "ON CONFLICT (name) DO UPDATE SET lease_until = excluded.lease_until"
)
BODY = b"\x93\xa3old\xa8app.work\xc4\x03\x92\x90\x80"
LANE = Lane("default", "threads")

Made = Callable[[Path, int], str]


def made_for_polypool(path: Path, version: int) -> str:
    with sqlite3.connect(path, isolation_level=None) as connection:
        connection.executescript(f"PRAGMA journal_mode = WAL; {SCHEMAS[version]}")
        connection.execute(f"PRAGMA application_id = {file.APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {version}")
        connection.execute("INSERT INTO lane (queue, pool) VALUES ('default', 'threads')")
        connection.execute(PUT, ["old", BODY])
    connection.close()
    return f"sqlite:///{path}"


def made_in_the_file_of_an_app(path: Path, version: int) -> str:
    with sqlite3.connect(path, isolation_level=None) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE customer (name TEXT)")
        for statement in SCHEMAS[version].split(";\n"):
            connection.execute(prefixed(statement))
        connection.execute(f"CREATE TABLE {file.VERSION_TABLE} (version INTEGER NOT NULL)")
        connection.execute(f"INSERT INTO {file.VERSION_TABLE} VALUES ({version})")
        connection.execute("INSERT INTO polypool_lane (queue, pool) VALUES ('default', 'threads')")
        connection.execute(prefixed(PUT), ["old", BODY])
    connection.close()
    return f"sqlite:///{path}?shared=yes"


each_way = pytest.mark.parametrize("make", [made_for_polypool, made_in_the_file_of_an_app])
each_version = pytest.mark.parametrize("version", list(SCHEMAS))


@each_version
@each_way
async def test_a_file_of_an_earlier_version_is_brought_up_to_date_and_loses_nothing(
    tmp_path: Path, make: Made, version: int
) -> None:
    engine = open_engine(make(tmp_path / "tasks.db", version), clock=lambda: 100.0)
    await engine.broker.open()
    await engine.broker.beat(Heartbeat("w1", "here", 1, 1.0, 60.0))
    [taken] = await engine.broker.take([LANE], 5, "w1", 0)
    assert taken.message == Message("old", "app.work", b"\x92\x90\x80")
    new = Message("new", "app.work", b"\x92\x90\x80", pool="threads")
    assert list(await engine.claims.enroll([new], 30.0)) == [True]  # type: ignore[attr-defined]
    [claimed] = await engine.claims.claim([new], "w1")  # type: ignore[attr-defined]
    assert (claimed.token, claimed.deliveries) == (1, 1)
    step = Message("step", "app.work", b"\x92\x90\x80", pool="threads", flow=Flow(2))
    assert list(await engine.broker.put([step])) == [True]
    assert [(view.id, view.flow) for view in await engine.inspector.find(Search(state=State.SCHEDULED))] == [
        ("step", Flow(2))
    ]
    await engine.broker.close()


@each_version
@each_way
def test_a_file_brought_up_to_date_is_as_one_made_anew(tmp_path: Path, make: Made, version: int) -> None:
    make(tmp_path / "old.db", version)
    options = Options(shared=make is made_in_the_file_of_an_app)
    shapes = []
    for name in ("old.db", "new.db"):
        connection = file.connect(str(tmp_path / name), options)
        connection.execute("DROP TABLE IF EXISTS customer")
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE sql IS NOT NULL")]
        shape: dict[str, object] = {
            table: sorted(connection.execute(f"SELECT * FROM pragma_{kind}('{table}')").fetchall())
            for table in tables
            for kind in ("table_info", "index_xinfo")
        }
        shape["triggers"] = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        shapes.append(shape)
        connection.close()
    assert shapes[0] == shapes[1] and len(shapes[0]) > 10


async def test_a_sender_that_has_the_file_open_goes_on_while_it_is_brought_up_to_date(tmp_path: Path) -> None:
    url = made_for_polypool(tmp_path / "tasks.db", 2)
    former = sqlite3.connect(tmp_path / "tasks.db", isolation_level=None)
    assert former.execute("SELECT count(*) FROM task").fetchone() == (1,)
    engine = open_engine(url)
    await engine.broker.open()
    former.execute(PUT, ["from the former release", BODY])
    former.close()
    [record] = await engine.results.read(["from the former release"])
    assert record is not None and record.state == "queued"
    await engine.broker.close()


@pytest.mark.parametrize("is_known", [True, False])
@each_way
async def test_a_worker_that_has_the_file_open_is_told_to_restart_and_holds_nothing(
    tmp_path: Path, make: Made, is_known: bool
) -> None:
    """It would end a step of a workflow and tell none of those that wait for it."""
    url = make(tmp_path / "tasks.db", 2)
    former = sqlite3.connect(tmp_path / "tasks.db", isolation_level=None, factory=Connection)
    former.is_shared = make is made_in_the_file_of_an_app
    if is_known:
        former.execute(BEAT, ["former", 110.0, 100.0])
        former.execute("UPDATE task SET state = 'running', worker = 1, token = 1, deliveries = 1")
    engine = open_engine(url, clock=lambda: 100.0)
    await engine.broker.open()
    with pytest.raises(sqlite3.IntegrityError, match="restart this worker"):
        former.execute(BEAT, ["former", 120.0, 101.0])
    former.close()
    await engine.broker.beat(Heartbeat("w1", "here", 1, 1.0, 60.0))
    [taken] = await engine.broker.take([LANE], 5, "w1", 0)
    assert (taken.id, taken.token) == ("old", 2 if is_known else 1)
    await engine.broker.close()


async def test_a_worker_of_this_release_hears_of_the_next_in_the_same_way(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/tasks.db")
    await engine.broker.open()
    await engine.broker.beat(Heartbeat("w1", "here", 1, 1.0, 60.0))
    with sqlite3.connect(tmp_path / "tasks.db", isolation_level=None) as later:
        [(trigger,)] = later.execute("SELECT sql FROM sqlite_schema WHERE name = 'worker_is_of_this_release'")
        later.execute("DROP TRIGGER worker_is_of_this_release")
        later.execute(trigger.replace("IS NOT 3", "IS NOT 4"))
    later.close()
    with pytest.raises(EngineDamaged, match="restart this worker"):
        await engine.broker.beat(Heartbeat("w1", "here", 1, 1.0, 60.0))
    await engine.broker.close()
