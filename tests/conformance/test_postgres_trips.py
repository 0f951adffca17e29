"""How often the PostgreSQL engine asks its server for one task: each statement is a round trip somebody waits for."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from polypool.brokers.open import open_engine
from polypool.brokers.postgres.bell import Ring
from polypool.brokers.postgres.engine import PostgresEngine
from polypool.brokers.postgres.session import Connection
from polypool.core.decide import decide
from polypool.core.message import Delivery
from polypool.core.outcome import Done, Settlement
from polypool.core.port import Engine
from tests.conformance.scene import LANE, eventually, heartbeat, ids, message
from tests.engines.postgres import drop_schema, empty_schema

Names = Callable[[], list[str]]


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> Names:
    """The names of the statements run since last asked."""
    run: list[str] = []
    original = Connection.rows

    async def rows(self: Connection, name: str, *arguments: Any) -> list[Any]:
        run.append(name)
        return await original(self, name, *arguments)

    monkeypatch.setattr(Connection, "rows", rows)

    def since() -> list[str]:
        found = list(run)
        run.clear()
        return found

    return since


@pytest.fixture
def only_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks by the clock: who is not told waits for ever."""
    monkeypatch.setattr("polypool.brokers.postgres.results.LOOK_ANYWAY", 3600.0)


@pytest.fixture
def url(postgres: str) -> Iterator[str]:
    made = empty_schema(postgres)
    yield made
    drop_schema(made)


@pytest.fixture
async def worker(url: str) -> AsyncIterator[Engine]:
    """An engine of a worker that has beaten and hears."""
    made = await hearing(url)
    await made.broker.beat(heartbeat(lease=600.0))
    yield made
    await made.broker.close()


@pytest.fixture
async def client(url: str) -> AsyncIterator[Engine]:
    made = await hearing(url)
    yield made
    await made.broker.close()


async def hearing(url: str) -> Engine:
    made = open_engine(url)
    assert isinstance(made, PostgresEngine)
    await made.broker.open()
    bell = made.broker._bell
    with bell.attention(Ring.WORK), bell.attention(Ring.RESULTS):

        async def hears() -> bool:
            return bell.hears(Ring.WORK) and bell.hears(Ring.RESULTS)

        await eventually(hears, 30)
    return made


def done(delivery: Delivery) -> Settlement:
    return decide(delivery, Done(b"\xc0"), delivery.taken_at, lambda: 0.5)


async def test_a_task_sent_to_idle_listeners_takes_four_statements(
    worker: Engine, client: Engine, statements: Names
) -> None:
    for turn in range(3):
        id = f"a{turn}"
        taking = asyncio.create_task(worker.broker.take([LANE], 10, "w1", 30))

        async def looked_or_rests() -> bool:
            return not worker.broker._session._under_way  # type: ignore[attr-defined]

        await asyncio.sleep(0)
        await eventually(looked_or_rests)
        statements()
        await client.broker.put([message(id)])
        waiting = asyncio.create_task(client.results.wait([id], 30))
        [delivery] = await taking
        again = asyncio.create_task(worker.broker.take([LANE], 9, "w1", 30))  # as a worker with free slots does
        assert await worker.broker.settle([done(delivery)]) == [True]
        assert ids(await waiting) == [id]
        counted = [name for name in statements() if name != "lane"]
        assert counted == ["put", "claim", "end", "read"]
        again.cancel()
        await asyncio.gather(again, return_exceptions=True)


async def test_what_is_put_after_a_take_emptied_the_lane_still_wakes_the_next_take(
    worker: Engine, client: Engine
) -> None:
    for turn in range(20):
        await client.broker.put([message(f"{turn}-{n}") for n in range(3)])
        taken: list[str] = []
        while len(taken) < 3:
            taken += ids(await worker.broker.take([LANE], 10, "w1", 60))
        assert taken == [f"{turn}-{n}" for n in range(3)]


async def test_a_take_that_rests_still_brings_what_comes_due_and_what_a_dead_worker_held(
    worker: Engine, client: Engine
) -> None:
    clock = worker.broker._session.clock  # type: ignore[attr-defined]
    await client.broker.beat(heartbeat("w2", lease=1.0))
    await client.broker.put([message("held")])
    assert ids(await client.broker.take([LANE], 1, "w2", 30)) == ["held"]
    await client.broker.put([message("now"), message("later", due=clock() + 0.5)])
    assert ids(await worker.broker.take([LANE], 10, "w1", 30)) == ["now"]
    taken: list[str] = []
    while len(taken) < 2:
        taken += ids(await worker.broker.take([LANE], 10, "w1", 60))
    assert sorted(taken) == ["held", "later"]


async def test_an_id_that_was_known_is_not_taken_for_one_that_has_not_ended(
    worker: Engine, client: Engine, only_told: None
) -> None:
    """What was just sent is known to wait; what was sent before by somebody else may long be over."""
    await worker.broker.put([message("a")])
    [delivery] = await worker.broker.take([LANE], 10, "w1", 30)
    await worker.broker.settle([done(delivery)])
    assert await client.broker.put([message("a")]) == [False]
    assert ids(await asyncio.wait_for(client.results.wait(["a"], 600), 60)) == ["a"]


async def test_an_end_that_is_told_before_the_send_was_answered_is_not_forgotten(
    worker: Engine, client: Engine, only_told: None
) -> None:
    async def work() -> None:
        for _ in range(100):
            taken = await worker.broker.take([LANE], 10, "w1", 60)
            await worker.broker.settle([done(delivery) for delivery in taken])

    working = asyncio.create_task(work())
    for turn in range(100):
        await client.broker.put([message(f"{turn}")])
        assert ids(await asyncio.wait_for(client.results.wait([f"{turn}"], 600), 60)) == [f"{turn}"]
    await working


async def test_who_only_waits_for_results_is_not_woken_by_everybody_s_sends(url: str, worker: Engine) -> None:
    waiter = open_engine(url)
    assert isinstance(waiter, PostgresEngine)
    bell = waiter.broker._bell
    await waiter.broker.open()
    await worker.broker.put([message("a")])
    waiting = asyncio.create_task(waiter.results.wait(["a"], 600))

    async def hears() -> bool:
        return bell.hears(Ring.RESULTS)

    await eventually(hears, 30)
    rung = bell.count(Ring.WORK)
    for number in range(5):
        await worker.broker.put([message(f"b{number}")])
    [first] = await worker.broker.take([LANE], 1, "w1", 30)
    await worker.broker.settle([done(first)])
    assert ids(await asyncio.wait_for(waiting, 60)) == ["a"]
    assert bell.count(Ring.WORK) == rung
    # Once it takes, it hears of work too.
    await waiter.broker.beat(heartbeat("w2", lease=600.0))
    taken = ids(await waiter.broker.take([LANE], 10, "w2", 600))
    taking = asyncio.create_task(waiter.broker.take([LANE], 10, "w2", 600))
    await worker.broker.put([message("c")])
    assert taken + ids(await asyncio.wait_for(taking, 60)) == ["b0", "b1", "b2", "b3", "b4", "c"]
    await waiter.broker.close()
