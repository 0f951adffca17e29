"""A PostgreSQL server for the tests: one that is running, one of our own, or the words that say what to install."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg

from polypool.brokers.postgres.options import Options
from tests.engines.debian import install
from tests.engines.ports import free_port

VARIABLE = "POLYPOOL_TEST_POSTGRES"
PATIENCE = 120.0
"""Seconds for a server to start, stop or take a setting: tests never run on an idle machine."""
ADVICE = f"""no PostgreSQL server to test against:
  Debian and Ubuntu: sudo apt-get install postgresql   (macOS: brew install postgresql@17)
  or a container: docker run -d -p 5432:5432 -e POSTGRES_PASSWORD=test postgres:17, and
  {VARIABLE}=postgresql://postgres:test@localhost/postgres"""


class Server:
    """A private server in a folder of its own; loopback only, nothing kept."""

    def __init__(self, binaries: Path, folder: Path, primary: "Server | None" = None) -> None:
        self.port = free_port()
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        self._binaries = binaries
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        # The server refuses to run as root.
        self._user = "postgres" if os.geteuid() == 0 else None
        if self._user:
            shutil.chown(folder, self._user)
        data = folder / "data"
        if primary is not None:
            subprocess.run(["cp", "-a", str(primary.folder / "data"), str(data)], check=True)
            (data / "standby.signal").touch()
            return
        self._run(["initdb", "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"])

    def start(self) -> None:
        settings = ["listen_addresses=127.0.0.1", "fsync=off", "shared_buffers=32MB", "max_connections=200"]
        command = [str(self._binaries / "postgres"), "-D", str(self.folder / "data"), "-p", str(self.port)]
        command += ["-k", "", *(part for setting in settings for part in ("-c", setting))]
        with open(self.folder / "log", "ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, user=self._user
            )
        deadline = time.monotonic() + PATIENCE
        ready = [str(self._binaries / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        while not self._answers(ready):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.02)

    def set(self, **settings: str) -> None:
        """Change its configuration; in force for new connections when this returns."""
        with (self.folder / "data" / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
        execute(self.url, "SELECT pg_reload_conf()")
        asked = "SELECT name, setting FROM pg_settings WHERE name = ANY ($1)"
        deadline = time.monotonic() + PATIENCE
        while dict(map(tuple, execute(self.url, asked, list(settings)))) != settings:
            assert time.monotonic() < deadline, f"the server does not take {settings}"
            time.sleep(0.02)

    def own(self, path: Path) -> None:
        """Let the server's own user read this."""
        if self._user:
            shutil.chown(path, self._user)

    async def alone(self, sql: str) -> None:
        """Run a statement that will not be part of a transaction."""
        connection = await asyncpg.connect(self.url)
        try:
            await connection.execute(sql)
        finally:
            await connection.close()

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT: at once and in good order; SIGQUIT: as if it crashed."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(PATIENCE)
            self._process = None

    def _answers(self, ready: Sequence[str]) -> bool:
        if Path(ready[0]).exists():
            return subprocess.run(ready, check=False).returncode == 0
        return b"database system is ready to accept connections" in (self.folder / "log").read_bytes()

    def _run(self, command: Sequence[str]) -> None:
        program = [str(self._binaries / command[0]), *command[1:]]
        ended = subprocess.run(program, capture_output=True, text=True, cwd=self.folder, user=self._user, check=False)
        if ended.returncode:
            raise RuntimeError(f"{command[0]} failed:\n{ended.stdout}{ended.stderr}")


@contextlib.contextmanager
def private_server() -> Iterator[Server]:
    """A server of the caller's own, to be stopped and started at will."""
    binaries = programs()
    with tempfile.TemporaryDirectory(prefix="polypool-postgres-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)
        server = Server(binaries, Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextlib.contextmanager
def hot_standby(primary: Server) -> Iterator[Server]:
    """A replica of a server, as that stood when it was stopped for a moment to be copied."""
    with tempfile.TemporaryDirectory(prefix="polypool-postgres-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)
        primary.stop()
        server = Server(programs(), Path(folder), primary)
        primary.start()
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextlib.contextmanager
def server_url() -> Iterator[str]:
    """The URL of a server to test against: the one named in the environment, else a private one."""
    if named := os.environ.get(VARIABLE):
        yield named
        return
    with private_server() as server:
        yield server.url


def empty_schema(server: str) -> str:
    """The URL of a schema of its own in that server."""
    return f"{server}{'&' if '?' in server else '?'}schema=test_{os.urandom(6).hex()}"


def drop_schema(url: str) -> None:
    """Leave nothing behind of what `empty_schema` named."""
    execute(url, f"DROP SCHEMA IF EXISTS {Options.parse(url)[1].schema} CASCADE")


def execute(url: str, sql: str, *arguments: Any) -> list[Any]:
    """Run one statement in the schema of that URL, on a connection and a thread of its own."""
    dsn, options = Options.parse(url)

    async def run() -> list[Any]:
        connection = await asyncpg.connect(dsn, statement_cache_size=0)
        try:
            async with connection.transaction():  # of any use behind a pooling proxy too
                await connection.execute(f"SET LOCAL search_path TO {options.schema}")
                return list(await connection.fetch(sql, *arguments))
        finally:
            await connection.close()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, run()).result()


def programs() -> Path:
    """The folder with a server's programs, installed first if need be."""
    found = _installed()
    if found is None:
        said = install("postgresql")
        found = _installed()
        if found is None:
            raise RuntimeError(f"{ADVICE}\n\napt-get said:\n{said[-2000:]}" if said else ADVICE)
    return found


def _installed() -> Path | None:
    """The folder with the newest server's programs."""
    folders = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: float(folder.parent.name), reverse=True
    )
    found = shutil.which("initdb")
    folders += [Path(found).resolve().parent, Path(found).parent] if found else []
    return next((one for one in folders if all((one / name).exists() for name in ("initdb", "postgres"))), None)
