"""The demo's other processes: started together, watched, and ended whatever happens.

Each one leads a process group of its own. Ctrl-C in the terminal therefore reaches the demo alone,
which ends them in order; and a process that will not end is killed with all that it started.
"""

import asyncio
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

ADDRESS_WITHIN_S = 30
STOP_WITHIN_S = 10
LOG_LINES_SHOWN = 25


class ProcessEnded(RuntimeError):
    """A process that the demo needs has ended by itself, or never came up."""


@dataclass(frozen=True)
class Started:
    """One process of the crew; its output goes to `log`."""

    name: str
    process: asyncio.subprocess.Process
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def ended(self, what: str) -> ProcessEnded:
        """The error to raise about it, with the end of its log."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES_SHOWN:]
        return ProcessEnded(f"The {self.name} {what}. The end of its log:\n" + "\n".join(lines))


class Crew:
    """Processes that live as long as the block of an `async with`."""

    def __init__(self, logs: Path, environment: Mapping[str, str]) -> None:
        self._logs = logs
        self.environment = {**os.environ, **environment, "PYTHONUNBUFFERED": "1"}
        self._started: list[Started] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """End the last one first: the worker before the API, the API before the provider."""
        for started in reversed(self._started):
            await _end(started)

    async def start(self, name: str, *command: str) -> Started:
        """Run a command; its output goes to a log of that name."""
        log = self._logs / f"{name}.log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *command,
                env=self.environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
        started = Started(name, process, log)
        self._started.append(started)
        return started

    async def watch(self) -> None:
        """Return never; raise ProcessEnded as soon as one of them ends."""
        waits = {asyncio.create_task(started.process.wait()): started for started in self._started}
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        started = waits[done.pop()]
        raise started.ended(f"ended by itself with exit code {started.process.returncode}")


async def address_of(started: Started) -> str:
    """The address that a server prints as its first line once it listens."""
    try:
        async with asyncio.timeout(ADDRESS_WITHIN_S):
            while True:
                first_line, newline, _ = started.log.read_text(encoding="utf-8").partition("\n")
                if newline:
                    break
                if started.process.returncode is not None:
                    raise started.ended("did not start")
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise started.ended(f"gave no address within {ADDRESS_WITHIN_S} s") from None
    if not first_line.startswith("http://"):
        raise started.ended("did not start")
    return first_line


async def _end(started: Started) -> None:
    if started.process.returncode is None:
        started.process.terminate()
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_WITHIN_S):
                await started.process.wait()
    # Whatever is left of its group: nothing, after an orderly end.
    with suppress(ProcessLookupError, PermissionError):  # macOS says EPERM where only zombies are left
        os.killpg(started.pid, signal.SIGKILL)
    await started.process.wait()
