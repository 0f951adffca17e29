"""Real web servers for tests: the apps of `web/` under every server that people use, watched and ended for real."""

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.whole import marks
from tests.whole.engines import connections, opened
from tests.whole.workers import PATIENCE, WorkerProcess, until, worker

SOCKET = "web.sock"
GUNICORN = ("gunicorn", "--bind", f"unix:{SOCKET}", "--timeout", "90")
UVICORN = ("uvicorn", "fastapi_app:web", "--uds", SOCKET, "--log-level", "warning")
GRANIAN = ("granian", "fastapi_app:web", "--uds", SOCKET, "--interface", "asgi")


@dataclass(frozen=True)
class Server:
    """How a server is started, and what it can do."""

    command: tuple[str, ...]
    at_once: int = 50
    """How many requests can wait in it at the same time, of fifty."""
    processes: int = 1
    """How many serve."""
    shares_a_loop: bool = False
    """All requests of a process share an event loop or a hub, which none of them may block."""

    @property
    def is_async(self) -> bool:
        return "fastapi_app:web" in self.command

    @property
    def grace(self) -> tuple[str, ...]:
        """Options by which it waits a second for open requests when it is told to end."""
        options = {"gunicorn": "--graceful-timeout", "uvicorn": "--timeout-graceful-shutdown"}
        option = options.get(self.command[0], "--workers-kill-timeout")
        return option, "1"

    @property
    def has_threads_beside(self) -> bool:
        """Blocking requests run in a pool of threads; of several such processes nobody knows which has how many."""
        return self.is_async and self.shares_a_loop


SERVERS = {
    "sync": Server((*GUNICORN, "flask_app:web", "-k", "sync", "-w", "2"), at_once=2, processes=2),
    "gthread": Server((*GUNICORN, "flask_app:web", "-k", "gthread", "--threads", "51")),
    "gevent": Server((*GUNICORN, "flask_app:web", "-k", "gevent"), shares_a_loop=True),
    "asgi": Server((*GUNICORN, "fastapi_app:web", "-k", "asgi"), shares_a_loop=True),
    "uvicorn": Server(UVICORN, shares_a_loop=True),
    "uvicorns": Server((*UVICORN, "--workers", "2"), processes=2),
    "granian": Server(GRANIAN, shares_a_loop=True),
}


@dataclass(frozen=True)
class Site:
    """A folder with the apps in it, an engine of its own, and a worker that serves it."""

    kind: str
    folder: Path
    environment: dict[str, str]
    worker: WorkerProcess

    @property
    def url(self) -> str:
        return self.environment["MARKS_BROKER"]

    @property
    def needs(self) -> set[str]:
        """The kinds of engines that the app's URLs name."""
        schemes = {url.partition(":")[0] for url in self.environment.values()}
        return {"postgres" if scheme == "postgresql" else scheme for scheme in schemes}

    @property
    def gate(self) -> Path:
        return self.folder / marks.GATE

    def sent(self) -> list[str]:
        """The ids of all tasks that the apps were told are sent."""
        return marks.whole_lines(self.folder / "sent.txt")

    def running(self) -> set[str]:
        """Those of them that have begun and not ended."""
        found = marks.read(self.folder)
        return (set(found["begin"]) - set(found["end"])) & set(self.sent())

    def has_run_each_once(self) -> bool:
        """Whether all that was sent has begun once and ended once."""
        found, sent = marks.read(self.folder), set(self.sent())
        return all(found["begin"][id] == found["end"][id] == 1 for id in sent)


@contextlib.contextmanager
def site(kind: str) -> Iterator[Site]:
    # A short path, unlike tmp_path: the names of Unix sockets may have 100 characters or so.
    with tempfile.TemporaryDirectory(prefix="web-") as name, opened(kind) as environment:
        folder = Path(name)
        here = Path(__file__).parent
        for source in (here / "marks.py", *(here / "web").glob("*.py")):
            shutil.copy(source, folder)
        with worker(folder, "marks:app", **environment) as started:
            yield Site(kind, folder, environment, started)


class WebProcess:
    """One server in a site's folder."""

    def __init__(self, site: Site, server: Server, *options: str) -> None:
        self.site = site
        self.server = server
        path = site.folder / SOCKET
        path.unlink(missing_ok=True)  # not every server removes it
        self.path = str(path)
        self.log = site.folder / "web.log"
        command = [sys.executable, "-m", *server.command, *options]
        # As in the wild, only gevent's own worker patches; PYTHONPATH is for the servers that do not look beside them.
        searched = os.pathsep.join(filter(None, [str(site.folder), os.environ.get("PYTHONPATH")]))
        environment = {**os.environ, **site.environment, "PYTHONPATH": searched, "PYTHONWARNINGS": "ignore"}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=site.folder, env=environment, stdout=log, stderr=log, start_new_session=True
            )

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_ready(self) -> "WebProcess":
        """Wait until each of its processes has answered."""
        heard: set[int] = set()

        def is_ready() -> bool:
            assert self.process.poll() is None, f"the server ended with {self.process.returncode}:\n{self.said()}"
            with contextlib.suppress(OSError, http.client.HTTPException):
                heard.add(self.inside()["pid"])
            return len(heard) == self.server.processes

        until(is_ready, "all of the server's processes answer")
        return self

    def get(self, path: str) -> bytes:
        """One request, from a thread of the test's own."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(PATIENCE)
            line.connect(self.path)
            line.sendall(request(path))
            answer = http.client.HTTPResponse(line)
            answer.begin()
            body = answer.read()
            assert answer.status == 200, body + self.log.read_bytes()
            return body

    def inside(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.get("/inside"))
        return told

    def processes(self) -> list[psutil.Process]:
        """The server's processes below the first, or the first alone."""
        with contextlib.suppress(psutil.NoSuchProcess):
            first = psutil.Process(self.process.pid)
            return first.children(recursive=True) or [first]
        return []

    def census(self) -> dict[str, int]:
        """What the server holds: threads, open files, connections to the engine."""
        processes = self.processes()
        return {
            "processes": len(processes),
            "threads": sum(process.num_threads() for process in processes),
            "files": sum(process.num_fds() for process in processes),
            "connections": connections(self.site.url),
        }

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait_gone(self) -> int:
        """The exit status, once it and all below it have ended."""
        return self.process.wait(PATIENCE)


def request(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n".encode()


@contextlib.contextmanager
def serving(site: Site, server: Server, *options: str) -> Iterator[WebProcess]:
    """A server that answers; gone afterwards, by SIGTERM, with all that it started and all its connections."""
    site.gate.unlink(missing_ok=True)
    before = connections(site.url)
    started = WebProcess(site, server, *options)
    try:
        yield started.wait_ready()
        family = started.processes()
        started.signal(signal.SIGTERM)
        started.wait_gone()
        _, left = psutil.wait_procs(family, timeout=PATIENCE)
        assert not left, f"outlived the server: {left}\n{started.said()}"
        until(lambda: connections(site.url) <= before, "the engine is rid of the server's connections")
    finally:
        site.gate.touch()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.process.pid, signal.SIGKILL)
        started.process.wait(PATIENCE)
