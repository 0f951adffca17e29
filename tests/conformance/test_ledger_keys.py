"""The Ledger port: unique keys, ticks, what people see of limits, and that nothing stays behind."""

import pytest

from polypool.core.ledger import Adapt, Gauge, Ledger, Pause, Rate, Release, Reservation, Slot, Tick, Unique
from tests.conformance.scene import Clock, Scene


@pytest.fixture
def ledger(scene: Scene) -> Ledger:
    return scene.engine.ledger


async def test_a_unique_key_has_one_owner_until_its_time_is_over(ledger: Ledger, clock: Clock) -> None:
    assert list(await ledger.own([Unique("k", "a", 5.0), Unique("k", "b", 5.0)])) == ["a", "a"]
    clock.move(4.0)
    assert list(await ledger.own([Unique("k", "b", 5.0)])) == ["a"]
    clock.move(1.0)
    assert list(await ledger.own([Unique("k", "b", 5.0)])) == ["b"]


async def test_an_owner_who_asks_again_has_it_for_longer(ledger: Ledger, clock: Clock) -> None:
    await ledger.own([Unique("k", "a", 5.0)])
    clock.move(4.0)
    assert list(await ledger.own([Unique("k", "a", 5.0)])) == ["a"]
    clock.move(4.0)
    assert list(await ledger.own([Unique("k", "b", 5.0)])) == ["a"]


async def test_only_its_owner_frees_a_unique_key(ledger: Ledger) -> None:
    await ledger.own([Unique("k", "a", 5.0)])
    freed = [Unique("k", "b", 5.0), Unique("k", "a", 5.0), Unique("k", "a", 5.0), Unique("?", "a", 5.0)]
    assert list(await ledger.disown(freed)) == [False, True, False, False]
    assert list(await ledger.own([Unique("k", "b", 5.0)])) == ["b"]


async def test_a_key_whose_time_is_over_is_not_freed_any_more(ledger: Ledger, clock: Clock) -> None:
    await ledger.own([Unique("k", "a", 5.0)])
    clock.move(5.0)
    assert list(await ledger.disown([Unique("k", "a", 5.0)])) == [False]


async def test_a_tick_is_given_to_the_first_who_asks_and_never_for_an_older_time(ledger: Ledger) -> None:
    asked = [Tick("nightly", at, owner) for at, owner in [(10.5, "a"), (10.5, "b"), (9.0, "b"), (11.0, "b")]]
    assert list(await ledger.tick(asked)) == [True, False, False, True]
    assert list(await ledger.tick([Tick("hourly", 1.0, "b"), Tick("nightly", 10.5, "a")])) == [True, False]


async def test_who_did_not_hear_that_a_tick_is_its_own_is_told_again(ledger: Ledger) -> None:
    assert list(await ledger.tick([Tick("nightly", 10.1, "a")])) == [True]
    assert list(await ledger.tick([Tick("nightly", 10.1, "a"), Tick("nightly", 10.1, "b")])) == [True, False]


async def test_a_tick_is_remembered_for_weeks(ledger: Ledger, clock: Clock) -> None:
    at = clock()
    await ledger.tick([Tick("monthly", at, "a")])
    clock.move(60 * 86_400.0)
    assert list(await ledger.tick([Tick("monthly", at, "b")])) == [False]


async def test_people_see_what_is_used_held_and_paused_of_the_keys_that_begin_so(ledger: Ledger, clock: Clock) -> None:
    charges = (Rate("llm:a", 60.0, 60.0, 3.0, 5.0), Slot("llm:b", 4), Slot("other", 1))
    await ledger.reserve("w1", 30.0, [Reservation("r", charges)])
    await ledger.adjust([Pause("llm:a", 9.0), Adapt("llm:b", 2, 1.0, 9.0), Pause("llm:c", 9.0)])
    clock.move(1.0)
    assert list(await ledger.look("llm:")) == [
        Gauge("llm:a", 60.0, 60.0, 5.0, 2.0, None, 0, 8.0, False),
        Gauge("llm:b", None, None, None, 0.0, 2, 1, 0.0, True),
        Gauge("llm:c", None, None, None, 0.0, None, 0, 8.0, False),
    ]
    assert [gauge.key for gauge in await ledger.look(limit=2)] == ["llm:a", "llm:b"]
    assert len(await ledger.look()) == 4


async def test_keys_that_are_unused_again_are_seen_no_more(ledger: Ledger, clock: Clock) -> None:
    reservations = [Reservation(f"r{n}", (Rate(f"k{n}", 1.0, 1.0), Slot(f"s{n}", 1))) for n in range(300)]
    assert all(await ledger.reserve("w1", 30.0, reservations))
    assert len(await ledger.look()) == 600
    clock.move(1.0)
    assert len(await ledger.look("k")) == 0
    assert all(await ledger.release("w1", [Release(f"r{n}") for n in range(300)]))
    assert list(await ledger.look()) == []


async def test_keys_of_any_letters_are_told_apart(ledger: Ledger) -> None:
    keys = ["tenant:ä%_\\", "tenant:Ä%_\\", "tenant:{1}", "tenant:'\"", "tenant:\n"]
    assert all(await ledger.reserve("w1", 30.0, [Reservation(key, (Slot(key, 1),)) for key in keys]))
    assert [gauge.key for gauge in await ledger.look("tenant:")] == sorted(keys)
    assert list(await ledger.own([Unique(key, key, 5.0) for key in keys])) == keys
    assert all(await ledger.tick([Tick(key, 1.0, key) for key in keys]))
    assert all(await ledger.release("w1", [Release(key) for key in keys]))


async def test_an_empty_batch_changes_nothing(ledger: Ledger) -> None:
    assert list(await ledger.reserve("w1", 30.0, [])) == []
    assert list(await ledger.correct("w1", [])) == []
    assert list(await ledger.release("w1", [])) == []
    await ledger.adjust([])
    assert list(await ledger.own([])) == list(await ledger.disown([])) == list(await ledger.tick([])) == []
    assert list(await ledger.look()) == []
