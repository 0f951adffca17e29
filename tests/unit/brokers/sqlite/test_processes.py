"""Several processes on one file: disjoint takes, nothing lost to SIGKILL, forks that leave the parent's file alone."""

import asyncio
import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from polypool.brokers.open import open_engine
from polypool.core.decide import decide
from polypool.core.message import Delivery, Lane, Message
from polypool.core.outcome import Done, Settlement
from tests.conformance.scene import LANE, heartbeat

PUTTER = """
    import asyncio, sys
    from polypool.brokers.open import open_engine
    from polypool.core.message import Message

    async def main():
        engine = open_engine(sys.argv[1])
        await engine.broker.open()
        for n in range(1_000_000):
            await engine.broker.put([Message(id=f"{n}-{k}", task="t", args=b"") for k in range(3)])
            print(n, flush=True)

    asyncio.run(main())
"""
TAKER = """
    import asyncio, json, sys
    from polypool.brokers.open import open_engine
    from polypool.core.decide import decide
    from polypool.core.message import Lane
    from polypool.core.outcome import Done
    from polypool.core.report import Heartbeat

    async def main():
        engine, name = open_engine(sys.argv[1]), sys.argv[2]
        await engine.broker.open()
        await engine.broker.beat(Heartbeat(name, "here", 1, 1.0, 60.0))
        print("ready", flush=True)
        sys.stdin.readline()
        ended = []
        while taken := await engine.broker.take([Lane("default", "threads")], 7, name, 0):
            batch = [decide(delivery, Done(b"\\xc0"), 1.0, lambda: 0.5) for delivery in taken]
            assert all(await engine.broker.settle(batch))
            ended += [delivery.id for delivery in taken]
        await engine.broker.close()
        print(json.dumps(ended))

    asyncio.run(main())
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/tasks.db"


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that end with the test."""
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


def start(program: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(program), *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


async def test_two_workers_take_disjoint_sets_and_all_of_it(url: str, started: list[subprocess.Popen[str]]) -> None:
    engine = open_engine(url)
    await engine.broker.open()
    sent = [Message(id=f"{n}", task="t", args=b"") for n in range(2000)]
    await engine.broker.put(sent)
    for name in ("w1", "w2"):
        started.append(start(TAKER, url, name))
    for process in started:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=60)[0] for process in started]
    first, second = (json.loads(output) for output in outputs)
    assert not set(first) & set(second)
    assert len(first) + len(second) == 2000
    await engine.broker.close()


async def test_a_killed_writer_loses_nothing_it_was_told_was_accepted(
    url: str, started: list[subprocess.Popen[str]]
) -> None:
    accepted = 0
    for _ in range(2):
        process = start(PUTTER.replace("{n}-", f"{{n}}-{accepted}-"), url)
        started.append(process)
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) == 40:
                process.send_signal(signal.SIGKILL)
        assert await asyncio.to_thread(process.wait) == -signal.SIGKILL
        accepted += 41 * 3
    engine = open_engine(url)
    await engine.broker.open()
    [lane] = await engine.inspector.lanes()
    assert lane.queued >= accepted
    assert lane.queued % 3 == 0, "a batch is whole or not there"
    await engine.broker.close()


async def test_a_forked_child_leaves_the_parents_file_alone(url: str, tmp_path: Path) -> None:
    """Closing an inherited connection would drop the parent's locks and perhaps its write-ahead log."""
    engine = open_engine(url)
    await engine.broker.open()
    await engine.broker.put([Message(id="before", task="t", args=b"")])
    files = _open_files(tmp_path)
    child = os.fork()
    if child == 0:
        kept = 1
        try:
            del engine
            gc.collect()
            kept = 0 if _open_files(tmp_path) == files and files else 2
        finally:
            os._exit(kept)
    _, status = await asyncio.to_thread(os.waitpid, child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert list(await engine.broker.put([Message(id="after", task="t", args=b"")])) == [True]
    assert None not in await engine.results.read(["before", "after"])
    await engine.broker.close()


@pytest.fixture
def short_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A place for bells under a short name, also where this machine's temporary folder has a long one."""
    with tempfile.TemporaryDirectory(prefix="bells-", dir="/tmp") as folder:
        monkeypatch.setattr("tempfile.tempdir", folder)
        monkeypatch.setenv("TMPDIR", folder)
        yield


async def test_a_bell_rings_through_to_another_process(
    url: str, started: list[subprocess.Popen[str]], short_folder: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("polypool.brokers.sqlite.bell.LOOK_ANYWAY", 3600.0)  # nothing else can wake it
    engine = open_engine(url)
    await engine.broker.open()
    await engine.broker.beat(heartbeat())
    putter = start(
        PUTTER.replace("range(1_000_000)", "iter(sys.stdin.readline, '')").replace("{n}", "{n.strip()}"), url
    )
    started.append(putter)
    assert putter.stdin is not None
    for turn in range(12):
        taking = asyncio.ensure_future(engine.broker.take([LANE, Lane("x", "y")], 10, "w1", 600))
        while not engine.broker._bell._ears.get("work") or not engine.broker._bell._ears["work"]._attending:  # type: ignore[attr-defined]
            await asyncio.sleep(0.001)
        putter.stdin.write(f"{turn}\n")
        putter.stdin.flush()
        taken = await asyncio.wait_for(taking, 60)
        assert taken[0].id == f"{turn}-0"
        taken += await engine.broker.take([LANE], 10, "w1", 0)
        await engine.broker.settle([_done(delivery) for delivery in taken])
    await engine.broker.close()


async def test_a_bell_can_be_hung_where_the_last_other_one_was_just_taken_down(url: str, short_folder: None) -> None:
    """Whoever goes last takes the folder away, which somebody who just came has found there."""
    coming, going = open_engine(url), open_engine(url)
    await coming.broker.open()
    await going.broker.open()
    await going.broker.close()
    assert not os.path.exists(str(coming.broker._bell._folder))  # type: ignore[attr-defined]
    await coming.broker.beat(heartbeat())
    await coming.broker.take([LANE], 1, "w1", 0)
    assert os.listdir(str(coming.broker._bell._folder))  # type: ignore[attr-defined]
    await coming.broker.close()


async def test_bells_of_dead_processes_are_taken_down(
    url: str, started: list[subprocess.Popen[str]], short_folder: None
) -> None:
    engine = open_engine(url)
    await engine.broker.open()
    waiter = start(TAKER.replace('threads")], 7, name, 0)', 'threads")], 7, name, 600)'), url, "w1")
    started.append(waiter)
    assert waiter.stdin is not None
    waiter.stdin.write("go\n")
    waiter.stdin.flush()
    folder = Path(str(engine.broker._bell._folder))  # type: ignore[attr-defined]
    while not list(folder.glob(f"work.{waiter.pid}.*")):
        assert waiter.poll() is None
        await asyncio.sleep(0.005)
    waiter.kill()
    await asyncio.to_thread(waiter.wait)
    await engine.broker.put([Message(id="a", task="t", args=b"")])
    await engine.broker.put([Message(id="b", task="t", args=b"")])
    assert not list(folder.glob(f"work.{waiter.pid}.*"))
    await engine.broker.close()


async def test_without_a_bell_a_change_is_noticed_within_a_second(
    url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    listening, deaf = open_engine(url), open_engine(url)
    await listening.broker.open()
    await listening.broker.beat(heartbeat())
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "elsewhere"))
    await deaf.broker.open()
    taking = asyncio.ensure_future(listening.broker.take([LANE], 10, "w1", 30))
    await asyncio.sleep(0)
    await listening.results.read([])
    await deaf.broker.put([Message(id="a", task="t", args=b"")])
    assert len(await asyncio.wait_for(taking, 60)) == 1
    await listening.broker.close()
    await deaf.broker.close()


def _done(delivery: Delivery) -> Settlement:
    return decide(delivery, Done(b"\xc0"), 1.0, lambda: 0.5)


def _open_files(folder: Path) -> list[str]:
    """Which files of a folder this process has open."""
    links = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
    targets = [os.readlink(link) for link in links if os.path.islink(link)]
    return sorted(target for target in targets if target.startswith(str(folder)))
