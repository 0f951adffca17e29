"""Answers of PostgreSQL at awkward moments: nothing told is slept over, nothing is answered before it is committed."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import asyncpg
import pytest

from polypool.brokers.open import open_engine
from polypool.brokers.postgres.bell import Ring
from polypool.brokers.postgres.engine import PostgresEngine
from polypool.core.decide import decide
from polypool.core.message import Delivery
from polypool.core.outcome import Done
from tests.conformance.pool_seen import PATIENCE, until
from tests.conformance.scene import LANE, event, heartbeat, ids, message
from tests.engines.postgres import drop_schema, empty_schema, execute


@pytest.fixture
def url(postgres: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A schema of its own; nobody looks by the clock, so that what is missed is missed for good."""
    monkeypatch.setattr("polypool.brokers.postgres.results.LOOK_ANYWAY", 3600.0)
    monkeypatch.setattr("polypool.brokers.postgres.bus.LOOK_ANYWAY", 3600.0)
    made = empty_schema(postgres)
    yield made
    drop_schema(made)


@pytest.fixture
async def engine(url: str) -> AsyncIterator[PostgresEngine]:
    made = open_engine(url)
    assert isinstance(made, PostgresEngine)
    await made.broker.open()
    await made.broker.beat(heartbeat(lease=600.0))
    yield made
    await made.broker.close()


async def taken(engine: PostgresEngine, *names: str) -> Sequence[Delivery]:
    await engine.broker.put([message(name) for name in names])
    return await engine.broker.take([LANE], len(names), "w1", 0)


async def end(engine: PostgresEngine, delivery: Delivery) -> None:
    """Settle it, and wait until this process has heard of it."""
    bell = engine.results._watch._bell
    rung = bell.count(Ring.RESULTS)
    assert await engine.broker.settle([decide(delivery, Done(b"\xc0"), time.time(), lambda: 0.5)]) == [True]
    await until(lambda: bell.count(Ring.RESULTS) > rung)


async def heard(engine: PostgresEngine) -> None:
    """Somebody waits, and the bell listens."""
    bell = engine.results._watch._bell
    await until(lambda: bell.count(Ring.RESULTS) > 0)


@pytest.mark.parametrize("look", ["_ended", "read"])
async def test_what_ends_while_a_waiter_looks_is_found_at_its_next_look(
    engine: PostgresEngine, look: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once what was told during a look was forgotten after it, and the waiter slept on."""
    _, b = await taken(engine, "a", "b")
    looked, original = [], getattr(engine.results, look)

    async def looks(asked: Sequence[str], *others: Any) -> Any:
        found = await original(asked, *others)
        if not looked:
            looked.append(asked)
            await heard(engine)
            await end(engine, b)
        return found

    monkeypatch.setattr(engine.results, look, looks)
    waiting = asyncio.create_task(engine.results.wait(["a", "b"], 600))
    assert ids(await asyncio.wait_for(waiting, PATIENCE)) == ["b"]
    assert looked


async def test_what_ends_after_one_waiter_knew_better_still_wakes_the_other(engine: PostgresEngine) -> None:
    """The second one need not read what the first one found unended; the news reaches it all the same."""
    a, b = await taken(engine, "a", "b")
    first = asyncio.create_task(engine.results.wait(["a", "b"], 600))
    await until(lambda: engine.results._watch.is_pending("a"))
    second = asyncio.create_task(engine.results.wait(["a"], 600))
    await asyncio.sleep(0)
    await end(engine, b)
    assert ids(await asyncio.wait_for(first, PATIENCE)) == ["b"]
    await end(engine, a)
    assert ids(await asyncio.wait_for(second, PATIENCE)) == ["a"]


async def test_an_event_appended_while_a_follower_looks_is_found_at_its_next_look(
    engine: PostgresEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await taken(engine, "a")
    session = engine.bus._session
    looked, original = [], session.run

    async def looks(job: Any) -> Any:
        found = await original(job)
        if not looked:
            looked.append(job)
            await heard(engine)
            rung = engine.results._watch._bell.count(Ring.RESULTS)
            await engine.bus.append([("a", event(1, 1))])
            await until(lambda: engine.results._watch._bell.count(Ring.RESULTS) > rung)
        return found

    following = asyncio.create_task(engine.bus.follow("a", None, 600))
    monkeypatch.setattr(session, "run", looks)
    page = await asyncio.wait_for(following, PATIENCE)
    assert [one.number for one in page.events] == [1]
    assert looked


REFUSE_AT_COMMIT = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''not at the commit''; END';
    CREATE CONSTRAINT TRIGGER refused AFTER INSERT ON task DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION refuse()
"""


@pytest.mark.parametrize("options", ["", "&pooled=yes"])
async def test_what_could_not_be_committed_is_not_said_to_be_accepted(url: str, options: str) -> None:
    """Once, behind a pooling proxy, the sender had its answer while the commit was still under way."""
    engine = open_engine(f"{url}{options}")
    await engine.broker.open()
    for statement in REFUSE_AT_COMMIT.split(";\n"):
        execute(url, statement)
    with pytest.raises(asyncpg.RaiseError, match="not at the commit"):
        await engine.broker.put([message("a")])
    assert await engine.results.read(["a"]) == [None]
    await engine.broker.close()
