"""The examples that send from a web app run as they are shown."""

import contextlib
import http.server
import json
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.whole.workers import PATIENCE, until, worker

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A short path, unlike tmp_path: the names of Unix sockets may have 100 characters or so."""
    with tempfile.TemporaryDirectory(prefix="web-") as name:
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])))
        monkeypatch.delenv("POLYPOOL_BROKER", raising=False)
        yield Path(name)


@contextlib.contextmanager
def visitor(folder: Path, *command: str) -> Iterator[httpx.Client]:
    """Whoever talks to the server that a command starts."""
    path = folder / "web.sock"
    with (folder / "web.log").open("wb") as log:
        server = psutil.Popen([sys.executable, "-m", *command], cwd=folder, stdout=log, stderr=log)
    try:
        until(lambda: path.exists() or server.poll() is not None, "the server listens")
        assert server.poll() is None, (folder / "web.log").read_text()
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://web", timeout=60) as client:
            yield client
    finally:
        server.terminate()
        server.wait(PATIENCE)


def test_flask_counts_the_words_of_a_text_that_it_is_sent(folder: Path) -> None:
    target = "examples.web_flask.web:web"
    with (
        worker(folder, "examples.web_flask.tasks:app"),
        visitor(folder, "gunicorn", "--bind", "unix:web.sock", "-k", "gthread", "--threads", "20", target) as client,
    ):
        told = client.post("/texts", content="the cat and the dog and the bird").json()
        assert told["words"][:2] == [["the", 3], ["and", 2]]
        assert client.get(f"/texts/{told['id']}").json() == {**told, "status": "succeeded"}
        assert client.get("/texts/nobody").status_code == 404
        sent = client.post("/jobs/tasks/examples.web_flask.tasks.count_words?wait=30", json={"text": "one two two"})
        assert sent.json()["result"] == [["two", 2], ["one", 1]], sent.text
        assert client.get(f"{sent.headers['location']}/events").text.count("event: end") == 1


def test_flask_says_where_the_words_will_be_when_they_take_longer(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORDS_PATIENCE_S", "0.05")
    command = ("gunicorn", "--bind", "unix:web.sock", "--preload", "examples.web_flask.web:web")
    with visitor(folder, *command) as client:
        answer = client.post("/texts", content="one two two")
        assert answer.status_code == 202
        where = answer.headers["location"]
        assert client.get(where).json()["status"] == "queued"
        with worker(folder, "examples.web_flask.tasks:app"):
            until(lambda: client.get(where).json()["status"] == "succeeded", "the words are counted")
        assert client.get(where).json()["words"] == [["two", 2], ["one", 1]]


@pytest.fixture
def page() -> Iterator[str]:
    """The address of a page that is there."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        serving.join()


def test_fastapi_streams_what_is_found_at_each_address(folder: Path, page: str) -> None:
    command = ("uvicorn", "examples.web_fastapi.web:web", "--uds", "web.sock")
    nobody = "http://127.0.0.1:1/"
    with worker(folder, "examples.web_fastapi.tasks:app"), visitor(folder, *command) as client:
        answer = client.post("/visits", json=[page, "nonsense", nobody])
        assert answer.status_code == 202
        with client.stream("GET", answer.headers["location"]) as told:
            found = [json.loads(line) for line in told.iter_lines()]
        sent = client.post("/jobs/tasks/examples.web_fastapi.tasks.visit?wait=30", json={"url": page})
        assert sent.json()["result"]["status"] == 200, sent.text
        assert client.get(f"{sent.headers['location']}/events").text.count("event: end") == 1
        assert "/jobs/tasks/examples.web_fastapi.tasks.visit" in client.get("/openapi.json").json()["paths"]
    assert {"url": page, "status": 200, "error": ""} in found
    assert any(one.get("url") == "nonsense" and "protocol" in one["error"] for one in found)
    assert len(found) == 3
    assert "ConnectError" in found[-1]["error"]  # after its retries
