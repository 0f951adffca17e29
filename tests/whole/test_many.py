"""Many items through real workers: held back, in chunks whose size is given or found, and with a step behind them."""

import importlib.util
import shutil
import sys
import threading
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from types import ModuleType

import pytest

from polypool import GroupResult, chord, group
from polypool.core.ask import Find
from polypool.core.report import Search
from tests.whole.engines import KINDS
from tests.whole.workers import PATIENCE, until, worker

POOL = ("--pool", "prefork=2")

pytestmark = pytest.mark.parametrize("engine", KINDS, indirect=True)


@pytest.fixture
def many(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module `many` of this test's own folder."""
    shutil.copy(Path(__file__).with_name("many.py"), tmp_path / "many.py")
    monkeypatch.chdir(tmp_path)
    spec = importlib.util.spec_from_file_location("many", tmp_path / "many.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "many", module)
    spec.loader.exec_module(module)
    yield module
    module.app.close()


def known(many: ModuleType) -> int:
    """How many tasks the engine holds."""
    return len(many.app.outlet.line.ask(Find(Search(limit=1000))).result())


def test_a_bounded_sender_waits_for_workers_and_then_sends_the_rest(many: ModuleType, tmp_path: Path) -> None:
    groups: list[GroupResult[int]] = []
    sender = threading.Thread(target=lambda: groups.append(many.double.map(range(500), max_pending=20)))
    sender.start()
    until(lambda: known(many) == 20, "twenty were sent")
    sender.join(1.5)  # longer than it waits before it looks at what became of them
    assert sender.is_alive()
    assert known(many) == 20
    with worker(tmp_path, "many:app", *POOL):
        sender.join(PATIENCE)
        assert groups[0].get(timeout=PATIENCE) == [2 * n for n in range(500)]


def test_chunks_of_any_size_give_every_item_its_result(many: ModuleType, tmp_path: Path) -> None:
    with worker(tmp_path, "many:app", *POOL):
        given = many.double.chunks(range(1_000), 30)
        found = many.double.chunks(iter(range(20_000)))
        pairs = many.add.starchunks(((n, n) if n % 2 else (n,) for n in range(100)), 7)
        assert list(chain.from_iterable(given)) == [2 * n for n in range(1_000)]
        assert list(chain.from_iterable(found)) == [2 * n for n in range(20_000)]
        assert list(chain.from_iterable(pairs)) == [2 * n if n % 2 else n + 100 for n in range(100)]
    assert len(given) == 34


def test_a_step_behind_many_gets_all_of_them(many: ModuleType, tmp_path: Path) -> None:
    with worker(tmp_path, "many:app", *POOL):
        sums = [
            chord(group.map(many.double, range(3_000)), many.total.s()).delay(),
            chord(group.map(many.double, iter(range(3_000))).set(max_pending=500), many.total.s()).delay(),
            chord(group.chunks(many.double, range(3_000), 50), many.total_of_lists.s()).delay(),
            chord(group.chunks(many.double, iter(range(3_000))), many.total_of_lists.s()).delay(),
        ]
        assert [one.get(timeout=PATIENCE) for one in sums] == [2 * sum(range(3_000))] * 4
