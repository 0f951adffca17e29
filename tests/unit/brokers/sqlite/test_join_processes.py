"""Processes that settle members of one join, some of them killed: its body is taken once, when all are over."""

import asyncio
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from polypool.brokers.open import open_engine
from polypool.core.join import Flow, Next
from polypool.core.message import Message
from polypool.core.port import Engine
from tests.conformance.scene import eventually

MEMBERS = 1000
WORKER = """
    import asyncio, sys, time
    from polypool.brokers.open import open_engine
    from polypool.core.decide import decide
    from polypool.core.message import Lane
    from polypool.core.outcome import Done
    from polypool.core.report import Heartbeat

    LANE, LEASE = Lane("default", "threads"), 1.0 if sys.argv[2].startswith("killed") else 600.0

    async def beat(engine, name):
        while True:
            await engine.broker.beat(Heartbeat(name, "here", 1, time.time(), LEASE), 0.2)
            await asyncio.sleep(0.2)

    def pass_by(stage, batches):
        if batches == 17 and stage == sys.argv[3]:
            print("here", flush=True)
            if stage != "settling":
                sys.stdin.readline()

    async def main():
        engine, name, batches = open_engine(sys.argv[1]), sys.argv[2], 0
        await engine.broker.open()
        print("ready", flush=True)
        sys.stdin.readline()
        beating = asyncio.create_task(beat(engine, name))
        while True:
            taken = await engine.broker.take([LANE], 3, name, 1.0)
            batch = [decide(delivery, Done(b"\\xc0"), time.time(), lambda: 0.5) for delivery in taken]
            if not taken:
                continue
            batches += 1
            pass_by("taken", batches)
            pass_by("settling", batches)
            await engine.broker.settle(batch)
            pass_by("settled", batches)

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


def start(url: str, name: str, started: list[subprocess.Popen[str]], stage: str = "") -> subprocess.Popen[str]:
    """A worker that waits to be told to go, and says `here` once, at a stage of its seventeenth batch."""
    command = [sys.executable, "-c", textwrap.dedent(WORKER), url, name, stage]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    started.append(process)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


async def send(url: str) -> Engine:
    """A chord: members, a body that waits for all of them, and one that waits for the body."""
    engine = open_engine(url)
    await engine.broker.open()
    members = [Message(f"m-{place}", "t", b"", flow=Flow(then=(Next("body", place),))) for place in range(MEMBERS)]
    body = Message("body", "t", b"", flow=Flow(MEMBERS, then=(Next("last"),)))
    assert all(await engine.broker.put([Message("last", "t", b"", flow=Flow(1)), body, *members]))
    return engine


async def all_over(engine: Engine, *ids: str) -> bool:
    records = await engine.results.read(ids)
    return all(record is not None and record.state == "succeeded" for record in records)


def look(url: str, sql: str) -> int:
    connection = sqlite3.connect(url.removeprefix("sqlite:///"))
    [(number,)] = connection.execute(sql)
    connection.close()
    return int(number)


def takes(url: str, id: str) -> int:
    """How often a message was taken."""
    return look(url, f"SELECT token FROM task WHERE id = '{id}'")


async def test_two_processes_settle_members_of_one_join_and_its_body_runs_once(
    url: str, started: list[subprocess.Popen[str]]
) -> None:
    engine = await send(url)
    workers = [start(url, name, started, "settled") for name in ("w1", "w2")]
    for worker in workers:
        go(worker)
    for worker in workers:  # each has had a part in it, and has the rest before it
        assert worker.stdout is not None and await asyncio.to_thread(worker.stdout.readline) == "here\n"
        go(worker)
    await eventually(lambda: all_over(engine, "last"))
    for worker in workers:
        worker.kill()
    assert takes(url, "body") == takes(url, "last") == 1
    assert await all_over(engine, "body", *(f"m-{place}" for place in range(MEMBERS)))
    await engine.broker.close()


async def test_a_join_whose_workers_are_killed_one_after_the_other_fires_once_and_loses_no_member(
    url: str, started: list[subprocess.Popen[str]]
) -> None:
    engine = await send(url)
    for stage in ("taken", "settling", "settling", "settled"):
        worker = start(url, f"killed-{len(started)}", started, stage)
        go(worker)
        assert worker.stdout is not None and await asyncio.to_thread(worker.stdout.readline) == "here\n"
        worker.send_signal(signal.SIGKILL)
        assert await asyncio.to_thread(worker.wait) == -signal.SIGKILL
        assert stage != "taken" or look(url, "SELECT count(*) FROM task WHERE state = 'running'") == 3
    assert takes(url, "body") == 0, "it waits as long as there are members to run"
    for name in ("w1", "w2"):
        go(start(url, name, started))
    await eventually(lambda: all_over(engine, "last"))
    assert takes(url, "body") == takes(url, "last") == 1
    assert await all_over(engine, "body", *(f"m-{place}" for place in range(MEMBERS)))
    await engine.broker.close()
