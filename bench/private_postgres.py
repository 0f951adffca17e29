"""A PostgreSQL of the bench's own, on a free port of the loopback, that writes each commit to disk and ends with its
block."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.reading import CannotMeasure
from bench.stand import until

ACCOUNT = "postgres"
"""Of the system; the server refuses to run as root."""


@contextmanager
def private_postgres(*settings: str) -> Iterator[str]:
    """The URL of its database. `settings` are the server's own, such as `fsync=off`; the rest is as installed."""
    programs = _programs()
    account = ACCOUNT if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="polypool-bench-postgres-", ignore_cleanup_errors=True) as folder:
        if account:
            shutil.chown(folder, account)
        made = [str(programs / "initdb"), "-D", f"{folder}/data", "-U", "postgres", "-A", "trust", "-E", "UTF8"]
        subprocess.run([*made, "--locale=C"], check=True, capture_output=True, cwd=folder, user=account)
        port = _free_port()
        command = [str(programs / "postgres"), "-D", f"{folder}/data", "-p", str(port), "-k", ""]
        for setting in ("listen_addresses=127.0.0.1", *settings):
            command += ["-c", setting]
        with Path(folder, "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, user=account)
        try:
            ready = b"database system is ready to accept connections"
            until(lambda: ready in Path(folder, "log").read_bytes(), "postgres to be ready", 30)
            yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
        finally:
            process.terminate()  # waits for its clients, who have gone
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _programs() -> Path:
    """The folder with the newest server's programs."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: float(folder.parent.name))
    found = shutil.which("initdb")
    folders += [Path(found).resolve().parent] if found else []
    if not folders:
        raise CannotMeasure("no PostgreSQL server's programs here; install them, on Debian: apt-get install postgresql")
    return folders[-1]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
