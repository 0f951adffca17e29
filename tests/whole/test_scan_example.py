"""`make demo`, shorter: it works, says what it measured, and leaves nothing behind."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from examples.scan.stages import STAGES

MARK = "SCAN_EXAMPLE_TEST"
DEMO = (sys.executable, "-m", "examples.scan.demo")
QUICKLY = ("--users", "6", "--seconds", "5", "--scale", "40")
# Twice what the provider lets in. What a stall of up to 6 s holds up may then come at once: it fits into its minute.
AT_THE_LIMIT = ("--users", "16", "--seconds", "5", "--scale", "10", "--rpm", "40")


class Demo:
    """One run of the demo; its processes are known by a mark in their environment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._mark = uuid.uuid4().hex
        self._process: subprocess.Popen[str] | None = None

    def start(self, *options: str) -> subprocess.Popen[str]:
        self._process = subprocess.Popen(
            [*DEMO, *options],
            env={**os.environ, MARK: self._mark, "TMPDIR": str(self.folder), "COLUMNS": "120"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        return self._process

    def processes(self) -> list[psutil.Process]:
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def worker(self) -> psutil.Process:
        """The supervisor of the worker, once it is there."""
        while True:
            for process in self.processes():
                command = process.cmdline()
                if "worker" in command and "examples.scan.app:app" in command:
                    return process
            time.sleep(0.05)

    def has_left_nothing(self) -> bool:
        return self.processes() == [] and list(self.folder.iterdir()) == []

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get(MARK) == self._mark and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False


@pytest.fixture
def demo() -> Iterator[Demo]:
    # A short path, unlike tmp_path: the names of Unix sockets may have 100 characters or so.
    with tempfile.TemporaryDirectory(prefix="scan-") as folder:
        demo = Demo(Path(folder))
        yield demo
        for process in demo.processes():
            process.kill()


def wait_for_line(process: subprocess.Popen[str], words: str) -> str:
    """Read on until a line with these words has come."""
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if words in line:
            return line
    pytest.fail(f"no line with {words!r} in:\n{''.join(seen)}")


def test_at_the_providers_limit_it_answers_every_photo_without_a_429_and_leaves_nothing(demo: Demo) -> None:
    process = demo.start(*AT_THE_LIMIT)
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 0, output
    assert "100.0%" in output
    for words in ("chains a minute", "published", "limit used", "memory of the worker", *STAGES, *STAGES.values()):
        assert words in output
    assert re.search(r"429s from the provider +│ +0 ", output), output
    assert re.search(r" [1-9]\d* wait for their turn", output), output
    assert demo.has_left_nothing(), output


def test_it_says_where_its_page_is_and_keeps_it_until_ctrl_c(demo: Demo) -> None:
    process = demo.start("--users", "1", "--seconds", "1", "--scale", "40", "--keep")
    address = wait_for_line(process, "send a photo of your own").split()[1]
    wait_for_line(process, f"{address} goes on until Ctrl-C")
    assert "Which bin?" in httpx.get(address).text
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 130, output
    assert demo.has_left_nothing(), output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "term"])
def test_interrupted_it_clears_up_after_itself(demo: Demo, number: signal.Signals) -> None:
    process = demo.start("--users", "6", "--seconds", "60", "--scale", "40")
    wait_for_line(process, "chains answered")
    process.send_signal(number)
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 130, output
    assert demo.has_left_nothing(), output


def test_interrupted_while_it_starts_it_clears_up_too(demo: Demo) -> None:
    process = demo.start(*QUICKLY)
    demo.worker()
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 130, output
    assert demo.has_left_nothing(), output


def test_without_its_worker_it_says_so_and_fails(demo: Demo) -> None:
    process = demo.start("--users", "6", "--seconds", "60", "--scale", "40")
    wait_for_line(process, "chains answered")
    demo.worker().kill()
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 1, output
    assert "The worker ended by itself" in output
    assert demo.has_left_nothing(), output
