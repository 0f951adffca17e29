"""A PgBouncer for the tests, in transaction mode: the installed one, or the words that say what to install."""

import contextlib
import functools
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from tests.engines.debian import install
from tests.engines.ports import free_port

ADVICE = """no PgBouncer to test against; Debian and Ubuntu: sudo apt-get install pgbouncer   (macOS: brew install
pgbouncer); it need not be started"""

PATIENCE = 120.0
"""Seconds for it to start or stop: tests never run on an idle machine."""

SETTINGS = """[databases]
* = host={host} port={server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = 3
logfile = {folder}/log
"""


@contextlib.contextmanager
def pooled(server: str, *settings: str) -> Iterator[str]:
    """The URL of a server by way of a private PgBouncer: fewer connections to the server than clients have to it.
    `settings` are lines for its configuration."""
    parts = urlsplit(server)
    with tempfile.TemporaryDirectory(prefix="polypool-pgbouncer-", ignore_cleanup_errors=True) as name:
        folder, port = Path(name), free_port()
        (folder / "users").write_text(f'"{parts.username}" "{parts.password or ""}"\n')
        text = SETTINGS.format(host=parts.hostname, server=parts.port or 5432, port=port, folder=folder)
        (folder / "settings").write_text("\n".join([text, *settings, ""]))
        # It refuses to run as root.
        user = "postgres" if os.geteuid() == 0 else None
        if user:
            for path in (folder, *folder.iterdir()):
                shutil.chown(path, user)
        process = subprocess.Popen([program(), "-q", str(folder / "settings")], cwd=folder, user=user)
        try:
            deadline = time.monotonic() + PATIENCE
            while not _listens(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"PgBouncer did not start:\n{(folder / 'log').read_text()[-2000:]}")
                time.sleep(0.02)
            address = parts._replace(netloc=f"{parts.username}:{parts.password or ''}@127.0.0.1:{port}")
            yield address.geturl()
        finally:
            process.kill()
            process.wait(PATIENCE)


@functools.cache
def program() -> str:
    """Where pgbouncer is, installed first if need be."""
    found = _found()
    if found is None:
        said = install("pgbouncer")
        found = _found()
        if found is None:
            raise RuntimeError(f"{ADVICE}\n\napt-get said:\n{said[-2000:]}" if said else ADVICE)
    return found


def _found() -> str | None:
    return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
