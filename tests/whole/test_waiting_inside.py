"""Tasks that wait for tasks in the very pool that they run in: with one slot nobody waits for ever."""

import importlib.util
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from polypool import TaskCancelled
from tests.whole.workers import PATIENCE, until, worker

pytestmark = pytest.mark.parametrize("engine", ["sqlite", "redis", "postgres"], indirect=True)


@pytest.fixture
def nest(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module `nest` of this test's own folder, which is also the current one."""
    shutil.copy(Path(__file__).with_name("nest.py"), tmp_path / "nest.py")
    monkeypatch.chdir(tmp_path)
    spec = importlib.util.spec_from_file_location("nest", tmp_path / "nest.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "nest", module)
    spec.loader.exec_module(module)
    yield module
    module.app.close()


def test_one_slot_is_enough_for_tasks_that_wait_three_deep(nest: ModuleType, tmp_path: Path) -> None:
    results = [nest.deep.delay(3) for _ in range(50)]
    with worker(tmp_path, "nest:app", "--pool", "asyncio=1"):
        assert [result.get(timeout=PATIENCE) for result in results] == [3] * 50


def test_one_slot_is_enough_for_tasks_that_wait_for_groups(nest: ModuleType, tmp_path: Path) -> None:
    results = [nest.wide.delay(40) for _ in range(5)]
    with worker(tmp_path, "nest:app", "--pool", "asyncio=1"):
        assert [result.get(timeout=PATIENCE) for result in results] == [780] * 5


def test_one_that_waits_can_be_cancelled_and_what_it_waited_for_goes_on(nest: ModuleType, tmp_path: Path) -> None:
    later = nest.leaf.apply_async((7,), countdown=3600)
    waits = nest.patient.delay(later.id)
    with worker(tmp_path, "nest:app", "--pool", "asyncio=1") as running:
        until(lambda: waits.status == "running", "it waits")
        assert nest.leaf.delay(1).get(timeout=PATIENCE) == 1, "in the slot that it gave up"
        assert waits.cancel()
        with pytest.raises(TaskCancelled):
            waits.get(timeout=PATIENCE)
        assert later.status == "scheduled"
        assert nest.leaf.delay(2).get(timeout=PATIENCE) == 2
        assert running.stop() == 0
