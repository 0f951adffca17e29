"""Commands typed for real: in a process of their own, into a pipe or on a terminal."""

import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tests.whole.workers import PATIENCE

COMMAND = [sys.executable, "-m", "polypool.cli.main"]


class Came(NamedTuple):
    """What a command came to."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.out)


def polypool(folder: Path, *words: str) -> Came:
    """Type a command into a pipe and wait for its end."""
    ended = subprocess.run(
        [*COMMAND, *words],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return Came(ended.returncode, ended.stdout, ended.stderr)


def on_terminal(folder: Path, *words: str, until: Callable[[str], bool]) -> Came:
    """Type a command on a terminal of 40 × 120, and Ctrl-C once it has shown what is waited for."""
    reading, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color"}
    environment.pop("NO_COLOR", None)
    process = subprocess.Popen(
        [*COMMAND, *words],
        cwd=folder,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env=environment,
    )
    try:
        os.close(terminal)
        shown, is_interrupted = "", False
        while text := _read(reading):
            shown += text
            if not is_interrupted and until(shown):
                is_interrupted = True
                process.send_signal(signal.SIGINT)
        status = process.wait(PATIENCE)
    finally:
        process.kill()
        process.wait(PATIENCE)
        os.close(reading)
    return Came(status, shown, "")


def _read(terminal: int) -> str:
    try:
        return os.read(terminal, 65_536).decode(errors="replace")
    except OSError:  # how Linux says that the other side has closed
        return ""
