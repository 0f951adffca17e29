"""Many workflows in flight while workers and children are killed, or the engine restarts: each comes to its value, and
whatever ran twice had been killed, or held by one that was."""

import itertools
import os
import random
import signal
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from polypool import chain
from tests.whole.engines import KINDS, opened
from tests.whole.outages import Server, dead, server_of
from tests.whole.test_workflows import loaded
from tests.whole.workers import PATIENCE, WorkerProcess, until

POOLS = ("--pool", "asyncio=4", "--pool", "threads=2", "--pool", "prefork=1")
"""Few slots, so that there is work left when workers die."""
SOON = ("--heartbeat", "3")
"""For workers that are killed: what they held is taken over soon."""
CHAINS, CHORDS, MEMBERS = 24, 6, 8
STEPS = CHAINS * 4 + CHORDS * (MEMBERS + 2) + 2
KILLS = 8


class Crew:
    """Two workers; whichever is killed is followed by another one."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._folder = folder
        self._options = (*POOLS, *options)
        self.workers = [self._hire().wait_ready() for _ in range(2)]
        self.killed: set[int] = set()
        """Processes that run steps and were killed, or whose supervisor was."""

    def kill(self, pid: int, is_child: bool) -> None:
        """This process that runs steps; or its supervisor alone, and what is below notices by itself."""
        for number, one in enumerate(self.workers):
            if pid not in {process.pid for process in one.children()}:
                continue
            if is_child:
                self.killed.add(pid)
                os.kill(pid, signal.SIGKILL)
            else:
                one.signal(signal.SIGSTOP)  # from now on it gives nothing to a child that is just being born
                self.killed |= {process.pid for process in one.children()}
                one.kill()
                self.workers[number] = self._hire()

    def send_home(self) -> None:
        for one in self.workers:
            one.stop()

    def _hire(self) -> WorkerProcess:
        return WorkerProcess(self._folder, "steps:app", *self._options)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def steps(folder: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    module = loaded(folder, monkeypatch)
    yield module
    module.app.close()


class TestWorkersThatAreKilled:
    @pytest.fixture(params=KINDS)
    def url(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
        with opened(request.param) as environment:
            for name, value in environment.items():
                monkeypatch.setenv(name, value)
            yield environment["MARKS_BROKER"]

    def test_every_workflow_comes_to_its_value_whoever_is_killed_between_two_steps(
        self, steps: Any, folder: Path
    ) -> None:
        dice = random.Random(4)
        crew = Crew(folder, *SOON)
        try:
            first = chain(steps.held.s(1), steps.double.s()).delay()
            until(lambda: unended(steps, folder), "the first step began")
            crew.kill(unended(steps, folder)[0], is_child=True)
            sent = [*send_all(steps), (first, 2)]
            for number in range(KILLS):
                step = number * STEPS // KILLS
                until(lambda: len(steps.lines(folder)) > step, "steps go on")  # noqa: B023 – called at once
                crew.kill(dice.choice(unended(steps, folder)), is_child=number % 4 != 3)
            (folder / steps.GATE).touch()
            assert [result.get(timeout=PATIENCE) for result, _ in sent] == [value for _, value in sent]
        finally:
            crew.send_home()
        runs = runs_by_step(steps, folder)
        assert len(runs) == STEPS
        assert len(runs[f"{first.id}.0"]) > 1, "nothing was cut: the test proves nothing"
        for id, some in runs.items():
            assert len({run.token for run in some}) == len(some), f"{id}: a delivery ran twice"
            assert {run.pid for run in some[:-1]} <= crew.killed, f"{id} ran again though nobody had killed it"


class TestAnEngineThatRestarts:
    @pytest.fixture(params=["redis", "postgres"])
    def server(self, request: pytest.FixtureRequest) -> Iterator[Server]:
        with server_of(request.param) as started:
            yield started

    @pytest.fixture
    def url(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
        monkeypatch.setenv("MARKS_BROKER", server.url)
        return server.url

    def test_workflows_go_on_where_they_were_and_no_step_runs_twice(
        self, server: Server, steps: Any, folder: Path
    ) -> None:
        crew = Crew(folder, "--heartbeat", "300")
        try:
            sent = send_all(steps)
            for part in (1, 2):
                until(lambda: len(steps.lines(folder)) > part * STEPS // 2, "steps go on")  # noqa: B023 – called at once
                with dead(server):
                    pass
            assert [result.get(timeout=PATIENCE) for result, _ in sent] == [value for _, value in sent]
        finally:
            crew.send_home()
        assert {len(some) for some in runs_by_step(steps, folder).values()} == {1}


def send_all(steps: Any) -> list[tuple[Any, int]]:
    """Chains and chords, in turn, and what each comes to."""
    chains = [(steps.chain_of_four(n).delay(), (2 * n + 1) ** 2 + 1) for n in range(CHAINS)]
    chords = [
        (steps.chord_of(MEMBERS, n).delay(), 2 * sum((n + one) ** 2 for one in range(MEMBERS))) for n in range(CHORDS)
    ]
    both = itertools.zip_longest(chains, chords)
    return [one for pair in both for one in pair if one is not None]


def unended(steps: Any, folder: Path) -> list[int]:
    """The processes in which steps have begun and not ended. There is always one: a step that waits for its gate."""
    runs = steps.runs(folder)
    latest = {run.id: run for run in runs}
    return [run.pid for run in runs if not run.has_ended and latest[run.id] is run]


def runs_by_step(steps: Any, folder: Path) -> dict[str, list[Any]]:
    """In the order in which they began."""
    found: dict[str, list[Any]] = defaultdict(list)
    for run in steps.runs(folder):
        found[run.id].append(run)
    return found
