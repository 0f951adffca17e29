"""What cannot be: engines that will not do, values that cannot travel. Said in one line, and the worker lives or ends
in order."""

from pathlib import Path
from types import ModuleType

import pytest

from polypool import MessageTooLarge, NotEncodable
from tests.engines import postgres, redis
from tests.whole.engines import KINDS
from tests.whole.workers import PATIENCE, WorkerProcess, worker

on_every_engine = pytest.mark.parametrize("engine", KINDS, indirect=True)


@on_every_engine
def test_a_result_that_cannot_travel_fails_its_task_with_the_reason_and_the_worker_goes_on(
    marks: ModuleType, tmp_path: Path
) -> None:
    with worker(tmp_path, "marks:app") as running:
        with pytest.raises(NotEncodable) as unsayable:
            marks.unsayable.delay().get(timeout=PATIENCE)
        with pytest.raises(MessageTooLarge) as plenty:
            marks.plenty.delay(50_000_000).get(timeout=PATIENCE)
        assert marks.echo.delay(5).get(timeout=PATIENCE) == 5
        assert len(marks.plenty.delay(16_000_000).get(timeout=PATIENCE)) == 16_000_000
    assert "marks.unsayable returned a value with no MessagePack form (object)" in str(unsayable.value)
    assert "return plain values, dataclasses or msgspec Structs" in str(unsayable.value)
    assert "marks.plenty returned 50,000,005 bytes and a result may have 16,777,216 (16 MiB)" in str(plenty.value)
    assert "Traceback" not in running.said()


@on_every_engine
def test_fifty_megabytes_are_refused_by_whoever_sends_them(engine: str, marks: ModuleType) -> None:
    """The engine is there and is asked for nothing."""
    with pytest.raises(MessageTooLarge, match=r"marks\.echo: these arguments are 50,\d{3},\d{3} bytes .* 16,777,216"):
        marks.echo.delay(bytes(50_000_000).decode())
    assert marks.echo.delay(1).status == "queued"


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("sqlite", "is no SQLite database"),
        ("redis", "there is no such database; the number"),
        ("postgres", "there is no such database; create it (`createdb NAME`) or name another in the URL"),
    ],
)
def test_what_waiting_cannot_mend_ends_a_worker_with_the_reason(
    marks: ModuleType, tmp_path: Path, kind: str, words: str
) -> None:
    (tmp_path / "notes.txt").write_text("Bread, milk and tasks." * 100)
    with postgres.server_url() as server:
        url = {
            "sqlite": "sqlite:///notes.txt",
            "redis": f"{redis.url()}/4711",
            "postgres": f"{server.partition('?')[0].rpartition('/')[0]}/nowhere",
        }[kind]
        tried = WorkerProcess(tmp_path, "marks:app", "--broker", url)
        assert _status(tried) == 1
    [line] = tried.said().splitlines()
    assert line.startswith("polypool: ") and words in line


def test_once_fails_where_there_is_no_folder_for_the_file(marks: ModuleType, tmp_path: Path) -> None:
    tried = WorkerProcess(tmp_path, "marks:app", "--once", "--broker", "sqlite:////nowhere/at/all/tasks.db")
    assert _status(tried) == 1
    [line] = tried.said().splitlines()
    assert "there is no folder /nowhere/at/all; create it, or name another file in the broker's URL" in line


def _status(tried: WorkerProcess) -> int:
    """How it ended by itself."""
    try:
        return tried.process.wait(PATIENCE)
    finally:
        tried.process.kill()
        tried.process.wait(PATIENCE)
