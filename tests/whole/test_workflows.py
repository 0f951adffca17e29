"""Workflows on real workers, on every engine: each form, and what becomes of it when workers and engines are killed."""

import asyncio
import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from polypool import TaskCancelled, TaskFailed, chain, chord, group
from polypool.brokers.open import open_engine
from tests.whole.engines import KINDS, opened
from tests.whole.workers import PATIENCE, WorkerProcess, until, worker

POOLS = ("--pool", "asyncio=200", "--pool", "threads=8", "--pool", "prefork=2")


class Stage(NamedTuple):
    """The app of one engine, its folder, and a worker for it."""

    steps: Any
    folder: Path
    worker: WorkerProcess


def loaded(folder: Path, patch: pytest.MonkeyPatch) -> ModuleType:
    """The module `steps` of this folder, for the engine that the environment names."""
    shutil.copy(Path(__file__).with_name("steps.py"), folder / "steps.py")
    patch.chdir(folder)
    spec = importlib.util.spec_from_file_location("steps", folder / "steps.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module", params=KINDS)
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One worker serves all tests of an engine that leave it alive."""
    folder = tmp_path_factory.mktemp(request.param)
    with pytest.MonkeyPatch.context() as patch, opened(request.param) as environment:
        for name, value in environment.items():
            patch.setenv(name, value)
        steps = loaded(folder, patch)
        with worker(folder, "steps:app", *POOLS) as running:
            yield Stage(steps, folder, running)
        steps.app.close()


@pytest.fixture(autouse=True)
def nothing_noted(request: pytest.FixtureRequest) -> None:
    if "stage" in request.fixturenames:
        stage: Stage = request.getfixturevalue("stage")
        for name in (stage.steps.MARKS, stage.steps.GATE):
            (stage.folder / name).unlink(missing_ok=True)


def test_a_chain_hands_each_result_to_the_next_step(stage: Stage) -> None:
    result = stage.steps.chain_of_four(3).delay()
    assert result.get(timeout=PATIENCE) == 50
    assert set(stage.steps.begun(stage.folder).values()) == {1}
    assert sorted(stage.steps.begun(stage.folder)) == sorted(f"{result.id}{part}" for part in (".0", ".1", ".2", ""))


def test_groups_chords_and_what_is_nested_in_them_come_to_their_values(stage: Stage) -> None:
    steps = stage.steps
    inner = chord(group(steps.square.s(n) for n in range(4)), steps.total.s())
    nested = chord(group(inner, chain(steps.double.s(2), steps.add.s(1))), steps.total.s())
    grouped = group(nested, steps.double.s(4), group(steps.add.s(n, n) for n in range(3)))
    assert grouped.delay().get(timeout=PATIENCE) == [19, 8, [0, 2, 4]]
    assert (group(steps.double.s(n) for n in range(50)) | steps.total.s()).delay().get(timeout=PATIENCE) == 2450
    assert set(steps.begun(stage.folder).values()) == {1}


def test_steps_that_wait_by_name_get_what_they_waited_for(stage: Stage) -> None:
    steps = stage.steps
    diamond = group(
        steps.double.s(1).set(name="a"),
        steps.add.s(1, 1).set(name="b"),
        steps.total.s([1, 2]).set(name="c"),
        steps.report.s().set(after=["a", "b", "c"]),
    )
    assert diamond.delay().get(timeout=PATIENCE) == [2, 2, 3, "2 2 3"]


def test_callbacks_are_called_once_and_the_others_never(stage: Stage) -> None:
    steps = stage.steps
    good = chain(steps.double.s(1), steps.add.s(1).set(link=steps.note.s(), link_error=steps.note_failure.s()))
    bad = chord(group(steps.double.s(1), steps.fail.s(7)), steps.total.s())
    bad.link(steps.note.s())
    bad.link_error(steps.note_failure.s())
    assert good.delay().get(timeout=PATIENCE) == 3
    failed = bad.delay()
    with pytest.raises(TaskFailed, match="no 7"):
        failed.get(timeout=PATIENCE)
    told = {"3": 1, "steps.fail builtins.ValueError no 7": 1}
    until(lambda: len(steps.noted(stage.folder)) == 2, "both callbacks ran")
    nothing_is_left(stage)
    assert steps.noted(stage.folder) == told


def test_a_task_may_return_a_workflow_that_takes_its_place(stage: Stage) -> None:
    steps = stage.steps
    assert chain(steps.unfold.s(5), steps.add.s(1)).delay().get(timeout=PATIENCE) == 31


def test_a_coroutine_may_wait_for_tasks_that_it_sends(stage: Stage) -> None:
    assert stage.steps.ask_others.delay(5).get(timeout=PATIENCE) == 20


def test_a_step_that_tries_again_keeps_the_others_waiting_and_then_lets_them_go(stage: Stage) -> None:
    steps = stage.steps
    tried = chord(group(steps.stumble.s(n) for n in range(3)), steps.total.s()) | steps.double.s()
    assert tried.delay().get(timeout=PATIENCE) == 6


def test_a_workflow_is_cancelled_with_what_runs_of_it(stage: Stage) -> None:
    steps = stage.steps
    result = (group(steps.held.s(n) for n in range(5)) | steps.total.s().set(link=steps.note.s())).delay()
    until(lambda: len(steps.begun(stage.folder)) == 5, "all members run")
    assert result.cancel()
    with pytest.raises(TaskCancelled):
        result.get(timeout=PATIENCE)
    nothing_is_left(stage)
    assert steps.noted(stage.folder) == {}
    assert [run.has_ended for run in steps.runs(stage.folder)] == [False] * 5


def test_a_failed_workflow_is_retried_from_the_failed_step_on_and_an_ended_one_replayed(stage: Stage) -> None:
    steps = stage.steps
    failed = chain(group(steps.square.s(n) for n in range(3)), steps.total.s(), steps.need.s("mended")).delay()
    with pytest.raises(TaskFailed, match="mended"):
        failed.get(timeout=PATIENCE)
    (stage.folder / "mended").touch()
    retried = steps.app.workflow(failed.id).retry()
    assert retried.get(timeout=PATIENCE) == 5
    assert sum(steps.begun(stage.folder).values()) == 4, "what had succeeded did not run again"
    assert steps.app.workflow(retried.id).replay().get(timeout=PATIENCE) == 5
    assert sum(steps.begun(stage.folder).values()) == 8
    assert [run.id for run in steps.runs(stage.folder)].count(failed.id) == 0


def test_the_command_line_shows_a_workflow_as_a_tree(stage: Stage) -> None:
    sent = stage.steps.chord_of(3, 1).delay()
    assert sent.get(timeout=PATIENCE) == 28
    command = [
        sys.executable,
        "-m",
        "polypool.cli.main",
        "workflow",
        "show",
        sent.id,
        "--broker",
        stage.steps.app.broker,
    ]
    shown = subprocess.run(command, cwd=stage.folder, capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    for words in ("steps.square", "steps.total", "steps.double", "succeeded"):
        assert words in shown.stdout
    told = json.loads(subprocess.run([*command, "--json"], cwd=stage.folder, capture_output=True, check=True).stdout)
    assert sent.id in json.dumps(told)


def nothing_is_left(stage: Stage) -> None:
    """Nothing waits or runs any more."""
    until(lambda: asyncio.run(in_lanes(stage)) == 0, "nothing is left in the engine's lanes")


async def in_lanes(stage: Stage) -> int:
    """How much is scheduled, queued or running."""
    engine = open_engine(stage.steps.app.broker, backend=stage.steps.app.backend)
    await engine.broker.open()
    lanes = await engine.inspector.lanes()
    await engine.broker.close()
    return sum(lane.scheduled + lane.queued + lane.running for lane in lanes)
