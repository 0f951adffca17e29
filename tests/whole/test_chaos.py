"""Two workers, three kinds of pool, and somebody who keeps killing children and a worker: every task ends once."""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import psutil
import pytest

from tests.whole.workers import WorkerProcess, until, worker

TASKS = 1500
KILLS = 12
EVERY = 100
"""Tasks that must end between two kills, so that the queue lasts until the last one."""


@pytest.fixture
def many_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is lost is first in its lane again: kills as dense as these hit innocent messages more than three times."""
    monkeypatch.setenv("MARKS_MAX_LOST", "1000")


@pytest.mark.parametrize("engine", ["sqlite", "redis", "postgres"], indirect=True)
def test_everything_sent_ends_once_while_children_and_workers_are_killed(
    many_lives: None, engine: str, marks: ModuleType, tmp_path: Path
) -> None:
    dice = random.Random(7)
    tasks = [(dice.choice([marks.nap, marks.doze, marks.grind]), (0.02,)) for _ in range(TASKS)]
    group = marks.app.send_many(tasks, progress=False)
    with (
        worker(tmp_path, "marks:app", "--heartbeat", "1") as steady,
        worker(tmp_path, "marks:app", "--heartbeat", "1") as victim,
    ):
        for number in range(KILLS):
            until(lambda number=number: group.completed_count >= number * EVERY, "work goes on", 60)  # type: ignore[misc]
            if number == KILLS // 2:
                victim.kill()
            kill_one_child(steady, dice)
        group.get(timeout=60)
        assert set(group.get(timeout=1)) == {"napped", "dozed", "ground"}
    found = marks.read(tmp_path)
    begun, ended = found["begin"], found["end"]
    assert len(begun) == len(ended) == TASKS
    assert sum(begun.values()) > TASKS, "nothing was cut: the test proves nothing"
    assert left_over(tmp_path, engine) == []


def kill_one_child(running: WorkerProcess, dice: random.Random) -> None:
    """SIGKILL a child that runs calls; the template, whose death takes all of them, is left alone."""
    template = psutil.Process(running.pid).children()[0]
    until(template.children, "children are there")
    victim = dice.choice(template.children())
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait(10)


def left_over(folder: Path, engine: str) -> list[object]:
    """What still stands in lanes or dead letters."""
    found: list[object] = []
    for command in (["queues"], ["dead", "list"]):
        told = subprocess.run(
            [sys.executable, "-m", "polypool.cli.main", *command, "--broker", engine, "--json"],
            cwd=folder, capture_output=True, check=True, text=True,
        )  # fmt: skip
        found += [row for rows in json.loads(told.stdout).values() if isinstance(rows, list) for row in rows]
    return found
