"""Servers of public tasks for tests, and whoever talks to them."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psutil

from tests.whole.workers import PATIENCE, until

TOKEN = "a-token-for-these-tests"
HEADERS = {"authorization": f"Bearer {TOKEN}"}

Told = tuple[str, str, Any]
"""(id, event, data)."""


@dataclass(frozen=True)
class Command:
    """How a server is started, and how it tells its port."""

    words: tuple[str, ...]
    says: str


GATEWAY = Command(
    ("polypool.cli.main", "web", "desk:app", "--port", "0"), r"polypool web: http://127\.0\.0\.1:(\d+)/docs"
)


class Web:
    """One server in a folder where a worker runs too."""

    def __init__(self, folder: Path, environment: dict[str, str], command: Command, *options: str) -> None:
        self.folder = folder
        self.engine = environment["MARKS_BROKER"]
        self.log = folder / f"web-{len(list(folder.glob('web-*.log')))}.log"
        self._says = command.says
        searched = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
        everything = {**os.environ, **environment, "POLYPOOL_WEB_TOKENS": TOKEN, "PYTHONPATH": searched}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *command.words, *options],
                cwd=folder,
                stdout=log,
                stderr=log,
                env=everything,
                start_new_session=True,
            )

    def wait_ready(self) -> "Web":
        def is_ready() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            return re.search(self._says, self.log.read_text()) is not None

        until(is_ready, "the server answers")
        return self

    @property
    def port(self) -> int:
        found = re.search(self._says, self.log.read_text())
        assert found is not None
        return int(found[1])

    def visitors(self) -> int:
        """Connections that it has accepted."""
        lines = psutil.Process(self.process.pid).net_connections("tcp")
        return sum(line.status == psutil.CONN_ESTABLISHED and line.laddr.port == self.port for line in lines)

    def kill(self) -> None:
        """It and all that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


@contextlib.contextmanager
def serving(folder: Path, environment: dict[str, str], command: Command, *options: str) -> Iterator[Web]:
    started = Web(folder, environment, command, *options)
    try:
        yield started.wait_ready()
    finally:
        started.kill()
        started.process.wait(PATIENCE)


def client(port: int) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=HEADERS, timeout=PATIENCE)


async def post(web: httpx.AsyncClient, task: str, **given: object) -> str:
    answer = await web.post(f"/tasks/desk.{task}", json=given)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def watch(web: httpx.AsyncClient, id: str, after: str) -> AsyncIterator[Told]:
    """(id, event, data) as a browser would see them, until the stream ends."""
    async with web.stream("GET", f"/results/{id}/events", headers={"last-event-id": after}) as answer:
        assert answer.status_code == 200, await answer.aread()
        event: dict[str, str] = {}
        async for line in answer.aiter_lines():
            name, _, value = line.partition(": ")
            if line and name:
                event[name] = value
            elif "event" in event:
                yield event.get("id", ""), event["event"], msgspec.json.decode(event["data"])
                event = {}
