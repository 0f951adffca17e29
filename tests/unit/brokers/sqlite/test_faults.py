"""A full disk, a locked, damaged, foreign, newer, lost or read-only file: clear words, nothing accepted is lost."""

import asyncio
import os
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from polypool.brokers.open import open_engine
from polypool.brokers.sqlite import database
from polypool.brokers.sqlite.engine import SqliteEngine
from polypool.core.error import EngineDamaged, EngineFull, EngineUnreachable
from polypool.core.message import Lane, Message
from polypool.core.port import Engine
from polypool.core.report import Heartbeat


def messages(*ids: str, size: int = 10) -> list[Message]:
    return [Message(id=id, task="app.work", args=bytes(size)) for id in ids]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tasks.db"


@pytest.fixture
async def engine(path: Path) -> AsyncIterator[Engine]:
    engine = open_engine(f"sqlite:///{path}?busy_timeout=0.2")
    await engine.broker.open()
    yield engine
    await engine.broker.close()


@pytest.fixture
def connection(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path, isolation_level=None)
    yield connection
    connection.close()


async def test_a_full_file_refuses_the_write_and_keeps_what_was_accepted(engine: SqliteEngine) -> None:
    assert all(await engine.broker.put(messages("before")))
    await _limit_pages(engine, 200)
    with pytest.raises(EngineFull, match="Make room and send again"):
        await engine.broker.put(messages(*(f"big-{n}" for n in range(500)), size=10_000))
    records = await engine.results.read(["before", "big-0", "big-499"])
    assert [record is not None for record in records] == [True, False, False]
    await _limit_pages(engine, 1_000_000)
    assert all(await engine.broker.put(messages("big-0", size=10_000)))


async def test_what_a_cancelled_take_brought_is_given_back_as_soon_as_another_writer_lets_it(
    engine: SqliteEngine, connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    lanes, refused, mapped = [Lane("default", "threads")], list[Exception](), database.mapped

    def seen(error: Exception, path: str) -> Exception:
        refused.append(error)
        return mapped(error, path)

    monkeypatch.setattr(database, "mapped", seen)
    await engine.broker.put([Message("a", "app.work", b"\x92\x90\x80", pool="threads")])
    await engine.broker.beat(Heartbeat("w1", "here", 1, 1.0, 6000.0))
    taking = asyncio.create_task(engine.broker.take(lanes, 5, "w1", 0))
    await asyncio.sleep(0)
    deadline = time.monotonic() + 60
    while connection.execute("SELECT count(*) FROM task WHERE state = 'running'").fetchone() == (0,):
        assert time.monotonic() < deadline  # without a turn of the loop, which is not to hear of it
    connection.execute("BEGIN IMMEDIATE")
    taking.cancel()
    await asyncio.wait([taking])
    assert taking.cancelled()
    async with asyncio.timeout(60):
        while not refused:
            await asyncio.sleep(0.01)
        connection.execute("ROLLBACK")
        while not (again := await engine.broker.take(lanes, 5, "w1", 0)):
            await asyncio.sleep(0.01)
    assert [(one.id, one.deliveries) for one in again] == [("a", 1)]


async def test_a_disk_that_is_full_for_one_sender_does_not_fail_the_others_beside_it(engine: SqliteEngine) -> None:
    await _limit_pages(engine, 200)
    puts = [engine.broker.put(messages(f"small-{n}")) for n in range(5)]
    puts.insert(2, engine.broker.put(messages("huge", size=5_000_000)))
    answers = await asyncio.gather(*puts, return_exceptions=True)
    assert isinstance(answers.pop(2), EngineFull)
    assert answers == [[True]] * 5


def test_a_file_size_limit_ends_in_words_and_loses_nothing(path: Path) -> None:
    """RLIMIT_FSIZE in a process of its own: the write fails in the operating system, as a quota makes it fail."""
    program = """
        import asyncio, resource, sys
        from polypool.brokers.open import open_engine
        from polypool.core.error import EngineError
        from polypool.core.message import Message
        async def main():
            engine = open_engine("sqlite:///" + sys.argv[1])
            await engine.broker.open()
            for n in range(10_000):
                try:
                    await engine.broker.put([Message(id=f"{n}", task="t", args=bytes(2000))])
                except EngineError as error:
                    print(n, type(error).__name__, error)
                    return
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        asyncio.run(main())
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    count, kind, words = ended.stdout.strip().split(" ", 2)
    assert kind in ("EngineFull", "EngineUnreachable") and ("ulimit -f" in words or "Make room" in words)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM task").fetchone() == (int(count),)
    connection.close()


async def test_a_locked_file_is_waited_for(path: Path, connection: sqlite3.Connection) -> None:
    engine = open_engine(f"sqlite:///{path}?busy_timeout=60")
    await engine.broker.open()
    connection.execute("BEGIN IMMEDIATE")
    asyncio.get_running_loop().call_later(0.05, connection.execute, "COMMIT")
    assert list(await engine.broker.put(messages("a"))) == [True]
    await engine.broker.close()


async def test_a_file_that_stays_locked_is_named_with_what_to_look_for(
    engine: Engine, connection: sqlite3.Connection, path: Path
) -> None:
    connection.execute("BEGIN IMMEDIATE")
    with pytest.raises(EngineUnreachable, match=f"{path}.*locked.*fuser"):
        await engine.broker.put(messages("a"))
    assert list(await engine.results.read(["a"])) == [None], "reading needs no lock"
    connection.execute("ROLLBACK")
    assert list(await engine.broker.put(messages("a"))) == [True]


async def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"Dear diary, " * 1000)
    with pytest.raises(EngineDamaged, match=r"no SQLite database.*file of its own"):
        await open_engine(f"sqlite:///{path}").broker.open()
    assert path.read_bytes() == b"Dear diary, " * 1000


async def test_a_damaged_file_is_named_with_how_to_save_it(path: Path) -> None:
    engine = open_engine(f"sqlite:///{path}")
    await engine.broker.open()
    await engine.broker.put(messages(*(str(n) for n in range(500)), size=500))
    await engine.broker.close()
    content = bytearray(path.read_bytes())
    for page in range(4096, len(content), 4096):
        content[page : page + 200] = os.urandom(200)
    path.write_bytes(content)
    engine = open_engine(f"sqlite:///{path}")
    with pytest.raises(EngineDamaged, match=r"damaged.*\.recover"):
        await engine.broker.open()
        await engine.broker.put(messages("new"))
    await engine.broker.close()


async def test_another_programs_database_is_left_alone(path: Path, connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE task (mine)")
    with pytest.raises(EngineDamaged, match="another program's database"):
        await open_engine(f"sqlite:///{path}").broker.open()
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("task",)]
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)


async def test_a_file_of_a_newer_release_is_refused(path: Path, engine: Engine, connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA user_version = 99")
    with pytest.raises(EngineDamaged, match=r"newer polypool.*upgrade"):
        await open_engine(f"sqlite:///{path}").broker.open()


async def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineUnreachable, match=f"no folder {tmp_path}/missing; create it"):
        await open_engine(f"sqlite:///{tmp_path}/missing/tasks.db").broker.open()


async def test_a_folder_in_place_of_the_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineUnreachable, match="is a folder"):
        await open_engine(f"sqlite:///{tmp_path}").broker.open()


async def test_a_file_in_place_of_the_folder_is_named(path: Path) -> None:
    path.write_text("a file")
    with pytest.raises(EngineUnreachable, match="there is no folder"):
        await open_engine(f"sqlite:///{path}/tasks.db").broker.open()


async def test_a_store_that_turned_read_only_says_who_needs_to_write(engine: SqliteEngine) -> None:
    """What the system does to a user without rights SQLite is told to do here: root, who may run this, has all."""
    await engine.broker.put(messages("a"))
    await engine.database.read(lambda connection: connection.execute("PRAGMA query_only = 1"))
    with pytest.raises(EngineDamaged, match=r"read-only.*write access"):
        await engine.broker.put(messages("b"))
    assert [record is not None for record in await engine.results.read(["a", "b"])] == [True, False]


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not stop root")
async def test_a_read_only_folder_is_refused_in_words(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises((EngineDamaged, EngineUnreachable), match="write"):
        await open_engine(f"sqlite:///{tmp_path}/tasks.db").broker.open()


async def test_a_file_that_was_removed_accepts_nothing_more(engine: Engine, path: Path) -> None:
    await engine.broker.put(messages("a"))
    path.unlink()
    with pytest.raises(EngineUnreachable, match=r"removed or replaced.*Restart"):
        await engine.broker.put(messages("b"))


async def test_an_engine_that_is_not_open_says_so(path: Path) -> None:
    engine = open_engine(f"sqlite:///{path}")
    with pytest.raises(EngineUnreachable, match="not open"):
        await engine.broker.put(messages("a"))


async def test_closing_wakes_those_who_wait(path: Path) -> None:
    engine = open_engine(f"sqlite:///{path}")
    await engine.broker.open()
    await engine.broker.put(messages("a"))
    waiting = [
        asyncio.ensure_future(engine.results.wait(["a"], 60)),
        asyncio.ensure_future(engine.bus.follow("a", None, 60)),
        asyncio.ensure_future(engine.broker.take([], 1, "w", 60)),
    ]
    for _ in range(20):
        await asyncio.sleep(0)
    await engine.results.read(["a"])
    await engine.broker.close()
    ended = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 60)
    assert [type(one) for one in ended] == [EngineUnreachable] * 3


async def _limit_pages(engine: SqliteEngine, pages: int) -> None:
    """The largest size of the file, as a full disk would set it."""
    await engine.database.read(lambda connection: connection.execute(f"PRAGMA max_page_count = {pages}").fetchone())
