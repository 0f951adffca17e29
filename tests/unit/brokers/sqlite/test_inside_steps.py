"""Steps of a workflow that are sent inside the sender's own transaction: all of them, or none."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest

from polypool.brokers.open import open_engine
from polypool.core.inside import Transactional
from polypool.core.join import Flow, Next
from polypool.core.message import Message
from tests.conformance.scene import Scene, ids, message


def sent(connection: sqlite3.Connection, engine: Transactional, messages: Sequence[Message]) -> list[bool]:
    """Run what the engine asks this connection to run."""
    asking = engine.inside.put(messages)
    try:
        statement = next(asking)
        while True:
            statement = asking.send(connection.execute(statement.questioned, statement.values).fetchall())
    except StopIteration as stop:
        return cast(list[bool], stop.value)


@pytest.mark.parametrize("where", ["", "?shared=yes"])
async def test_steps_sent_inside_a_transaction_wait_after_its_commit_and_are_unknown_without(
    tmp_path: Path, where: str
) -> None:
    path = tmp_path / "app.db"
    scene = Scene(f"sqlite:///{path}{where}", lambda: 1_000_000.0)
    await scene.engine.broker.open()
    engine = cast(Transactional, open_engine(scene.url))
    steps = [
        message("a", flow=Flow(then=(Next("c", 0),))),
        message("plain"),
        message("b", flow=Flow(then=(Next("c", 1),))),
        message("c", flow=Flow(2, then=(Next("d"),))),
        message("d", flow=Flow(1, countdown=5.0)),
    ]
    connection = sqlite3.connect(path, isolation_level=None)
    for ending in ("ROLLBACK", "COMMIT"):
        connection.execute("BEGIN IMMEDIATE")
        assert sent(connection, engine, steps) == [True] * 5
        assert sent(connection, engine, steps[:1]) == [False]
        connection.execute(ending)
        states = [await scene.state(id) for id in "abcd"]
        assert states == [None] * 4 if ending == "ROLLBACK" else ["queued", "queued", "scheduled", "scheduled"]
    connection.close()
    await scene.join()
    taken = await scene.take()
    assert ids(taken) == ["a", "plain", "b"]
    for delivery in taken:
        assert await scene.settle(delivery)
    assert await scene.settle(await scene.take_one())
    assert [await scene.state(id) for id in "cd"] == ["succeeded", "scheduled"]
    await scene.engine.broker.close()
