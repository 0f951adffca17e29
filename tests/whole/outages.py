"""Engines that go away while tasks run: stopped, killed, frozen for real."""

import contextlib
import signal
from collections.abc import Iterator
from typing import Protocol

import psutil

from tests.engines import postgres, redis


class Server(Protocol):
    """An engine's own server, which keeps on disk what it accepted."""

    url: str

    def kill(self) -> None: ...
    def start(self) -> None: ...
    def processes(self) -> list[psutil.Process]: ...


class Redis:
    def __init__(self, server: redis.Server) -> None:
        self.url = server.url
        self._server = server

    def kill(self) -> None:
        self._server.stop(force=True)

    def start(self) -> None:
        self._server.start()

    def processes(self) -> list[psutil.Process]:
        return _family(self._server._process)


class Postgres:
    def __init__(self, server: postgres.Server) -> None:
        self.url = postgres.empty_schema(server.url)
        self._server = server

    def kill(self) -> None:
        self._server.stop(signal.SIGQUIT)  # its word for an immediate end, with recovery at the next start

    def start(self) -> None:
        self._server.start()

    def processes(self) -> list[psutil.Process]:
        return _family(self._server._process)


def _family(started: object) -> list[psutil.Process]:
    root = psutil.Process(started.pid)  # type: ignore[attr-defined]
    return [root, *root.children(recursive=True)]


@contextlib.contextmanager
def server_of(kind: str) -> Iterator[Server]:
    """A server of this test's own that keeps on disk what it accepted: `redis` or `postgres`."""
    if kind == "redis":
        started = redis.Server("--appendonly", "yes", "--appendfsync", "always")
        try:
            yield Redis(started)
        finally:
            started.remove()
    else:
        with postgres.private_server() as private:
            yield Postgres(private)


@contextlib.contextmanager
def frozen(server: Server) -> Iterator[None]:
    """Neither answers nor hangs up."""
    processes = server.processes()
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


@contextlib.contextmanager
def dead(server: Server) -> Iterator[None]:
    server.kill()
    try:
        yield
    finally:
        server.start()
