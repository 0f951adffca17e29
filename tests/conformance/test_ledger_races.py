"""The Ledger port when many ask at once, in two processes; and that nothing stays behind."""

import asyncio
import contextlib
import itertools
import sqlite3
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from polypool.core.ledger import Correction, Grant, Ledger, Pause, Rate, Release, Reservation, Slot, Tick, Unique
from polypool.core.port import Engine
from tests.conformance.scene import Clock, Scene
from tests.engines import postgres, redis

TERM = 30.0
ASKED = 24


@pytest.fixture
async def ledgers(scene: Scene) -> AsyncIterator[list[Ledger]]:
    """The same ledger in two processes."""
    other: Engine = await scene.another()
    yield [scene.engine.ledger, other.ledger]
    if other is not scene.engine:
        await other.broker.close()


async def ask_all(ledgers: Sequence[Ledger], ids: Sequence[str], *charges: Rate | Slot) -> list[Grant]:
    """Reservations of one each, all at once, by turns in this process and in that."""
    asked = [
        ledger.reserve(f"w{place % 2}", TERM, [Reservation(id, charges)])
        for place, (id, ledger) in enumerate(zip(ids, itertools.cycle(ledgers), strict=False))
    ]
    return [grant for [grant] in await asyncio.gather(*asked)]


async def test_of_many_who_ask_at_once_no_more_get_a_slot_than_there_are(ledgers: list[Ledger]) -> None:
    grants = await ask_all(ledgers, [f"r{n}" for n in range(ASKED)], Slot("a", 5), Slot("b", 9))
    assert sorted(map(bool, grants)) == [False] * (ASKED - 5) + [True] * 5
    assert [(gauge.key, gauge.held) for gauge in await ledgers[0].look()] == [("a", 5), ("b", 5)]


async def test_of_many_who_ask_at_once_no_more_pass_than_the_burst(ledgers: list[Ledger]) -> None:
    grants = await ask_all(ledgers, [f"r{n}" for n in range(ASKED)], Rate("a", 1.0, 60.0, burst=7.0), Slot("b", 9))
    assert sorted(map(bool, grants)) == [False] * (ASKED - 7) + [True] * 7
    assert {gauge.key: (gauge.used, gauge.held) for gauge in await ledgers[1].look()} == {"a": (7.0, 0), "b": (0.0, 7)}


async def test_what_two_ask_for_with_one_id_is_charged_once(ledgers: list[Ledger]) -> None:
    assert all(await ask_all(ledgers, ["same"] * ASKED, Rate("a", 1.0, 60.0), Slot("b", 1)))
    assert {gauge.key: (gauge.used, gauge.held) for gauge in await ledgers[1].look()} == {"a": (1.0, 0), "b": (0.0, 1)}


async def test_batches_that_charge_the_same_keys_in_any_order_wait_for_nobody_for_ever(ledgers: list[Ledger]) -> None:
    keys = [f"k{n}" for n in range(6)]
    batches = []
    for turn in range(ASKED):
        turned = keys[turn % 6 :] + keys[: turn % 6]
        charges = {key: (Slot(key, 1000), Rate(key, 1e6, 1.0, burst=1e6)) for key in turned}
        batches.append([Reservation(f"{turn}-{key}", charges[key]) for key in turned])
    asked = [ledgers[turn % 2].reserve("w", TERM, batch) for turn, batch in enumerate(batches)]
    assert all(all(grants) for grants in await asyncio.wait_for(asyncio.gather(*asked), 120))
    assert [gauge.held for gauge in await ledgers[0].look()] == [ASKED] * 6


async def test_of_many_who_want_a_unique_key_one_has_it_and_all_know_who(ledgers: list[Ledger]) -> None:
    asked = [ledgers[n % 2].own([Unique("k", f"o{n}", 60.0)]) for n in range(ASKED)]
    owners = {owner for [owner] in await asyncio.gather(*asked)}
    assert len(owners) == 1
    freed = await asyncio.gather(*(ledgers[n % 2].disown([Unique("k", f"o{n}", 60.0)]) for n in range(ASKED)))
    assert sum(is_freed for [is_freed] in freed) == 1


async def test_a_tick_is_given_to_one_of_many(ledgers: list[Ledger]) -> None:
    for at in (1.0, 2.5):
        asked = [ledgers[n % 2].tick([Tick("nightly", at, f"o{n}")]) for n in range(ASKED)]
        assert sum(fired for [fired] in await asyncio.gather(*asked)) == 1


async def test_a_process_that_is_gone_gives_its_slots_back_to_the_other(ledgers: list[Ledger], clock: Clock) -> None:
    assert all(await ledgers[0].reserve("w1", TERM, [Reservation(f"r{n}", (Slot("a", 5),)) for n in range(5)]))
    clock.move(TERM - 1)
    assert not any(await ledgers[1].reserve("w2", TERM, [Reservation("s", (Slot("a", 5),))]))
    clock.move(1)
    assert all(await ledgers[1].reserve("w2", TERM, [Reservation(f"s{n}", (Slot("a", 5),)) for n in range(5)]))


async def test_who_stopped_listening_may_ask_again(ledgers: list[Ledger]) -> None:
    reservation = Reservation("a", (Rate("k", 1.0, 60.0), Slot("s", 1)))
    asking = asyncio.create_task(_as_coroutine(ledgers[0], reservation))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait([asking])
    assert all(await ledgers[1].reserve("w1", TERM, [reservation]))
    assert {gauge.key: (gauge.used, gauge.held) for gauge in await ledgers[1].look()} == {"k": (1.0, 0), "s": (0.0, 1)}


async def test_nothing_of_what_is_over_stays_in_the_store(scene: Scene, clock: Clock) -> None:
    if scene.url.startswith(("memory:", "amqp:")):
        pytest.skip("what it keeps is its own affair")
    ledger, before = scene.engine.ledger, _stored(scene)
    for turn in range(5):
        names = [f"{turn}-{n}" for n in range(40)]
        charges = {name: (Rate(f"r{name}", 1.0, 1.0, is_estimate=True), Slot(f"s{name}", 1)) for name in names}
        await ledger.reserve(f"w{turn}", TERM, [Reservation(name, charges[name]) for name in names])
        await ledger.correct(f"w{turn}", [Correction(name, f"r{name}", 3.0) for name in names[:10]])
        await ledger.release(f"w{turn}", [Release(name) for name in names[:20]])
        await ledger.own([Unique(name, "o", 5.0) for name in names])
        await ledger.tick([Tick(name, clock(), "o") for name in names])
        await ledger.adjust([Pause(f"paused {name}", 5.0) for name in names])
        clock.move(TERM)
    assert _stored(scene) > before
    clock.move(100 * 86_400.0)
    for _ in range(10):  # each change sweeps some
        await ledger.renew("w", 0.0)
        clock.move(1.0)
    await ledger.release("w", [Release("none")])
    assert _stored(scene) == before


async def _as_coroutine(ledger: Ledger, reservation: Reservation) -> object:
    return await ledger.reserve("w1", TERM, [reservation])


def _stored(scene: Scene) -> int:
    """Rows of the ledger, or whatever Redis keeps."""
    if scene.url.startswith("redis:"):
        return len(redis.keys(scene.url))
    if scene.url.startswith("sqlite:"):
        with contextlib.closing(sqlite3.connect(Path(scene.url.removeprefix("sqlite:///")))) as connection:
            return int(connection.execute("SELECT count(*) FROM ledger").fetchone()[0])
    return int(postgres.execute(scene.url, "SELECT count(*) FROM ledger")[0][0])
