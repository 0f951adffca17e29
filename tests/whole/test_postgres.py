"""Real workers on a real PostgreSQL server: killed, cut off, and served from a patched process."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.engines.postgres import Server, empty_schema, private_server
from tests.whole.workers import PATIENCE, until, worker

LEASE = ("--heartbeat", "4")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with private_server() as server:
        yield server


@pytest.fixture
def app(marks: ModuleType, server: Server, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The `marks` app on a schema of its own."""
    url = empty_schema(server.url)
    monkeypatch.setenv("MARKS_BROKER", url)
    monkeypatch.setattr(marks.app, "broker", url)
    return marks


def test_what_a_killed_worker_held_runs_again_in_another_and_ends_once(app: ModuleType, tmp_path: Path) -> None:
    with worker(tmp_path, "marks:app", *LEASE) as first:
        results = [app.nap.delay(4) for _ in range(5)]
        until(lambda: sum(app.read(tmp_path)["begin"].values()) == 5, "the tasks began")
        first.kill()
    with worker(tmp_path, "marks:app"):
        assert [result.get(timeout=PATIENCE) for result in results] == ["napped"] * 5
    assert set(app.read(tmp_path)["begin"].values()) == {2}
    assert set(app.read(tmp_path)["end"].values()) == {1}
    app.app.close()


def test_a_server_that_restarts_under_work_loses_nothing_that_it_accepted(
    app: ModuleType, server: Server, tmp_path: Path
) -> None:
    with worker(tmp_path, "marks:app", "--heartbeat", "60"):
        results = [app.nap.delay(0.5) for _ in range(20)] + [app.doze.delay(2) for _ in range(5)]
        until(lambda: sum(app.read(tmp_path)["begin"].values()) >= 25, "the tasks began")
        server.stop()
        server.start()
        late = _sent_again(app)
        assert [result.get(timeout=PATIENCE) for result in [*results, late]]
    assert set(app.read(tmp_path)["end"].values()) == {1}, "work went on, and was settled once the server was back"
    app.app.close()


def test_a_process_patched_by_gevent_sends_and_waits(app: ModuleType, tmp_path: Path) -> None:
    pytest.importorskip("gevent")
    program = (
        "from gevent import monkey; monkey.patch_all()\n"
        "import gevent, marks\n"
        "jobs = [gevent.spawn(lambda: marks.nap.delay(0.1).get(timeout=20)) for _ in range(50)]\n"
        "gevent.joinall(jobs)\n"
        "assert [job.value for job in jobs] == ['napped'] * 50\n"
    )
    with worker(tmp_path, "marks:app"):
        ended = subprocess.run(
            [sys.executable, "-c", program],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert ended.returncode == 0, ended.stderr


def _sent_again(app: ModuleType) -> object:
    """A task sent while the server comes back: refused in words, then accepted."""
    from polypool.core.error import EngineUnreachable

    sent: list[object] = []

    def is_sent() -> bool:
        try:
            sent.append(app.nap.delay(0))
        except EngineUnreachable:
            return False
        return True

    until(is_sent, "the server took a task again")
    return sent[0]
