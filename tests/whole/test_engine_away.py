"""An engine that is not there when a worker starts, or goes away while tasks run: stopped, killed, frozen for real."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.whole.outages import Server, dead, frozen, server_of
from tests.whole.workers import PATIENCE, WorkerProcess, until, worker

LEASE = ("--heartbeat", "300")
"""So long that no slow machine ends it while its engine is away."""


@pytest.fixture(params=["redis", "postgres"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with server_of(request.param) as started:
        yield started


@pytest.fixture
def engine(server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the `marks` app of these tests is told."""
    monkeypatch.setenv("MARKS_BROKER", server.url)
    return server.url


def test_a_worker_waits_for_its_engine_and_says_so_once(server: Server, marks: ModuleType, tmp_path: Path) -> None:
    server.kill()
    waiting = WorkerProcess(tmp_path, "marks:app")
    try:
        until(lambda: "cannot reach the engine" in waiting.said(), "the worker says that it waits")
        server.start()
        waiting.wait_ready()
        assert marks.echo.delay(5).get(timeout=PATIENCE) == 5
    finally:
        assert waiting.stop() == 0
    said = waiting.said()
    [line] = [line for line in said.splitlines() if "cannot reach the engine" in line]
    assert "127.0.0.1" in line and "cannot be reached" in line and "trying again until it works (Ctrl-C ends)" in line
    assert "Traceback" not in said


def test_once_fails_where_there_is_no_engine(server: Server, marks: ModuleType, tmp_path: Path) -> None:
    server.kill()
    tried = WorkerProcess(tmp_path, "marks:app", "--once")
    try:
        assert tried.process.wait(PATIENCE) == 1
    finally:
        tried.process.kill()
        tried.process.wait(PATIENCE)
    [line] = tried.said().splitlines()
    assert line.startswith("polypool: ") and "cannot be reached" in line
    assert "are host and port right?" in line
    server.start()
    with worker(tmp_path, "marks:app", "--once"):
        assert marks.echo.delay(5).get(timeout=PATIENCE) == 5


@pytest.mark.parametrize("away", [dead, frozen])
def test_work_goes_on_without_the_engine_and_what_ended_is_written_once_it_is_back(
    server: Server, marks: ModuleType, tmp_path: Path, away: object
) -> None:
    with worker(tmp_path, "marks:app", *LEASE) as running:
        results = [marks.held.delay(number) for number in range(30)]
        until(lambda: sum(marks.read(tmp_path)["begin"].values()) == 30, "all tasks began")
        with away(server):  # type: ignore[operator]
            (tmp_path / marks.GATE).touch()
            until(
                lambda: sum(marks.read(tmp_path)["end"].values()) == 30, "all tasks ended while nobody could write it"
            )
        late = _sent(marks)
        assert [result.get(timeout=PATIENCE) for result in results] == list(range(30))
        assert late.get(timeout=PATIENCE) == 99
    found = marks.read(tmp_path)
    assert set(found["begin"].values()) == set(found["end"].values()) == {1}, "nothing ran twice"
    assert len(found["begin"]) == 31
    assert "Traceback" not in running.said()


def test_what_ended_while_the_engine_was_away_past_the_lease_runs_no_second_time(
    server: Server, marks: ModuleType, tmp_path: Path
) -> None:
    lease = 8.0
    with worker(tmp_path, "marks:app", "--heartbeat", f"{lease:g}"):
        results = [marks.held.delay(number) for number in range(30)]
        until(lambda: sum(marks.read(tmp_path)["begin"].values()) == 30, "all tasks began")
        with dead(server):
            lapsed = time.monotonic() + lease + 1
            (tmp_path / marks.GATE).touch()
            until(
                lambda: sum(marks.read(tmp_path)["end"].values()) == 30, "all tasks ended while nobody could write it"
            )
            until(lambda: time.monotonic() > lapsed, "the lease is over")
        assert [result.get(timeout=PATIENCE) for result in results] == list(range(30))
    assert set(marks.read(tmp_path)["begin"].values()) == {1}, "nothing ran twice"


def _sent(marks: ModuleType) -> object:
    """A task sent while the engine comes back: refused in words, then accepted."""
    from polypool.core.error import EngineUnreachable

    sent: list[object] = []

    def is_sent() -> bool:
        with contextlib.suppress(EngineUnreachable):
            sent.append(marks.echo.delay(99))
        return bool(sent)

    until(is_sent, "the engine took a task again", 90)
    return sent[0]
