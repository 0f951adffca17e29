"""The demo's processes end with it, with all that they started."""

import asyncio
import sys
from pathlib import Path

import psutil
import pytest

from examples.scan.processes import Crew, ProcessEnded, address_of

HAS_A_CHILD = """
import signal, subprocess, sys, time
if "deaf" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""


async def first_line(log: Path) -> str:
    while "\n" not in (text := log.read_text()):
        await asyncio.sleep(0.01)
    return text.partition("\n")[0]


async def wait_until_gone(pid: int) -> None:
    def is_there() -> bool:
        try:
            return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    async with asyncio.timeout(60):
        while is_there():
            await asyncio.sleep(0.01)


async def test_a_process_ends_with_the_block_and_takes_its_children_along(tmp_path: Path) -> None:
    async with Crew(tmp_path, {}) as crew:
        started = await crew.start("parent", sys.executable, "-c", HAS_A_CHILD)
        child = int(await first_line(started.log))
    await wait_until_gone(started.pid)
    await wait_until_gone(child)


async def test_a_process_that_ignores_being_told_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("examples.scan.processes.STOP_WITHIN_S", 0.2)
    with pytest.raises(LookupError):
        async with Crew(tmp_path, {}) as crew:
            started = await crew.start("parent", sys.executable, "-c", HAS_A_CHILD, "deaf")
            child = int(await first_line(started.log))
            raise LookupError
    await wait_until_gone(started.pid)
    await wait_until_gone(child)


async def test_one_that_ends_by_itself_is_noticed_and_its_last_words_are_told(tmp_path: Path) -> None:
    async with Crew(tmp_path, {}) as crew:
        await crew.start("sleeper", sys.executable, "-c", "import time; time.sleep(600)")
        await crew.start("worker", sys.executable, "-c", "print('out of paper'); raise SystemExit(3)")
        with pytest.raises(ProcessEnded, match=r"worker ended by itself with exit code 3(.|\n)*out of paper"):
            await crew.watch()


async def test_a_server_that_never_listens_is_no_long_wait(tmp_path: Path) -> None:
    async with Crew(tmp_path, {}) as crew:
        started = await crew.start("API", sys.executable, "-c", "raise SystemExit('no such module')")
        with pytest.raises(ProcessEnded, match="no such module"):
            await address_of(started)


async def test_processes_get_the_environment_as_it_is_when_they_start(tmp_path: Path) -> None:
    async with Crew(tmp_path, {"A": "1"}) as crew:
        crew.environment["B"] = "2"
        say = "import os; print(os.environ['A'] + os.environ['B']); import time; time.sleep(600)"
        assert await first_line((await crew.start("one", sys.executable, "-c", say)).log) == "12"
