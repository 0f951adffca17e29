"""Orders and their tasks in one transaction each, from a sender that is killed again and again in the middle."""

import asyncio
import importlib
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest

from polypool import TaskFailed
from polypool.brokers.open import open_engine
from polypool.core.report import LaneCount
from tests.whole.marks import whole_lines
from tests.whole.workers import until, worker

KILLS = 6
ORDERS_A_LIFE = 15


@pytest.fixture
def shop(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module `shop` of this test's own folder, its tables made."""
    shutil.copy(Path(__file__).with_name("shop.py"), tmp_path / "shop.py")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "shop", raising=False)
    module = importlib.import_module("shop")
    module.app.result("none").status  # noqa: B018 — makes polypool's tables
    connection = module.connect()
    connection.execute(f"CREATE TABLE {module.ORDERS} (id TEXT)")
    connection.commit()
    connection.close()
    yield module
    module.app.close()
    monkeypatch.delitem(sys.modules, "shop")


@pytest.mark.parametrize("engine", ["sqlite", "postgres"], indirect=True)
def test_a_sender_killed_amid_its_transactions_leaves_as_many_tasks_as_rows(shop: ModuleType, tmp_path: Path) -> None:
    with worker(tmp_path, "shop:app"):
        for life in range(KILLS):
            enough = len(orders(shop)) + ORDERS_A_LIFE
            sender = subprocess.Popen([sys.executable, "shop.py", f"life{life}"], cwd=tmp_path)
            try:
                until(partial(has_orders, shop, enough), "orders were taken", patience=90)
            finally:
                sender.kill()
                sender.wait()
        taken = orders(shop)
        until(lambda: set(taken) <= set(shipped(tmp_path)) and nothing_waits(shop), "all was shipped", patience=90)
    assert len(taken) >= KILLS * ORDERS_A_LIFE
    assert Counter(shipped(tmp_path)) == Counter(taken)


@pytest.mark.parametrize("engine", ["sqlite", "postgres"], indirect=True)
def test_a_running_task_sends_inside_a_transaction_of_its_own(shop: ModuleType, tmp_path: Path) -> None:
    with worker(tmp_path, "shop:app"):
        refused = shop.reorder.apply_async(("refused", True), max_retries=0)
        with pytest.raises(TaskFailed, match="out of stock"):
            refused.get(timeout=60)
        shop.reorder.delay("kept").get(timeout=60)
        until(lambda: shipped(tmp_path) and nothing_waits(shop), "what was kept was shipped", patience=90)
    assert shipped(tmp_path) == orders(shop) == ["kept"]


def has_orders(shop: ModuleType, enough: int) -> bool:
    return len(orders(shop)) >= enough


def orders(shop: ModuleType) -> list[str]:
    connection = shop.connect()
    try:
        return [order for (order,) in connection.execute(f"SELECT id FROM {shop.ORDERS}").fetchall()]
    finally:
        connection.close()


def shipped(folder: Path) -> list[str]:
    return whole_lines(folder / "shipped.txt")


def nothing_waits(shop: ModuleType) -> bool:
    async def count() -> list[LaneCount]:
        engine = open_engine(shop.app.broker)
        await engine.broker.open()
        try:
            return list(await engine.inspector.lanes())
        finally:
            await engine.broker.close()

    return not any(lane.queued or lane.running for lane in asyncio.run(count()))
