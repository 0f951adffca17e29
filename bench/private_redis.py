"""A Redis of the bench's own, on a free port of the loopback, that keeps nothing and ends with its block."""

import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.reading import CannotMeasure
from bench.stand import until


@contextmanager
def private_redis() -> Iterator[str]:
    """Its URL, without a database's number."""
    program = shutil.which("redis-server")
    if program is None:
        raise CannotMeasure("no redis-server on the path; install it, on Debian: apt-get install redis-server")
    with tempfile.TemporaryDirectory(prefix="polypool-bench-redis-") as folder:
        port = _free_port()
        command = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--save", ""]
        with (Path(folder) / "log").open("wb") as log:
            process = subprocess.Popen([*command, "--appendonly", "no"], stdout=log, stderr=log)
        try:
            until(lambda: _listens(port), f"redis-server to listen on port {port}", 10)
            yield f"redis://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(10)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
