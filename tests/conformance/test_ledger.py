"""The Ledger port: every sentence of it, on every engine."""

from collections.abc import AsyncIterator

import pytest

from polypool.core.ledger import (
    Adapt,
    Charge,
    Correction,
    Gauge,
    Grant,
    Ledger,
    Pause,
    Rate,
    Release,
    Reservation,
    Slot,
)
from polypool.core.port import Engine
from tests.conformance.scene import Clock, Scene

TERM = 30.0
"""Seconds of a holder's lease."""


@pytest.fixture
def ledger(scene: Scene) -> Ledger:
    return scene.engine.ledger


@pytest.fixture
async def other(scene: Scene) -> AsyncIterator[Engine]:
    """The same store in another process."""
    engine = await scene.another()
    yield engine
    if engine is not scene.engine:
        await engine.broker.close()


def rate(cost: float = 1.0, key: str = "openai", **fields: float) -> Rate:
    """Ten in ten seconds, two at once."""
    return Rate(**{"key": key, "amount": 10.0, "per": 10.0, "cost": cost, "burst": 2.0, **fields})  # type: ignore[arg-type]


async def ask(ledger: Ledger, id: str, *charges: Charge, holder: str = "w1") -> Grant:
    [grant] = await ledger.reserve(holder, TERM, [Reservation(id, charges)])
    return grant


async def gauge(ledger: Ledger, key: str) -> Gauge | None:
    return next((found for found in await ledger.look(key) if found.key == key), None)


async def test_as_many_as_the_burst_pass_at_once_and_then_one_after_the_other(ledger: Ledger, clock: Clock) -> None:
    assert [bool(await ask(ledger, id, rate())) for id in "ab"] == [True, True]
    assert await ask(ledger, "c", rate()) == Grant("openai", 1.0)
    clock.move(1.0)
    assert await ask(ledger, "c", rate())
    assert await ask(ledger, "d", rate()) == Grant("openai", 1.0)


async def test_asking_again_with_the_same_id_is_answered_alike_and_charged_once(ledger: Ledger) -> None:
    assert await ask(ledger, "a", rate(2.0), Slot("s", 1))
    assert await ask(ledger, "a", rate(2.0), Slot("s", 1))
    used = await gauge(ledger, "openai")
    held = await gauge(ledger, "s")
    assert used and held and (used.used, held.held) == (2.0, 1)


async def test_of_several_charges_all_are_granted_or_none(ledger: Ledger) -> None:
    assert await ask(ledger, "a", Slot("tenant", 1))
    assert await ask(ledger, "b", rate(), Slot("tenant", 1), rate(key="tokens")) == Grant("tenant", None)
    assert await gauge(ledger, "openai") is None
    assert await gauge(ledger, "tokens") is None


async def test_the_longest_wait_of_several_is_told(ledger: Ledger) -> None:
    assert await ask(ledger, "a", rate(2.0), rate(2.0, "tokens"), Slot("tenant", 1))
    assert await ask(ledger, "b", rate(1.0), rate(2.0, "tokens"), Slot("tenant", 1)) == Grant("tokens", 2.0)


async def test_whoever_has_to_wait_comes_before_those_behind_it_who_want_the_same_key(ledger: Ledger) -> None:
    grants = await ledger.reserve(
        "w1",
        TERM,
        [
            Reservation("small", (rate(1.0),)),
            Reservation("large", (rate(2.0),)),
            Reservation("behind", (rate(1.0),)),
            Reservation("elsewhere", (rate(1.0, "other"),)),
        ],
    )
    assert list(grants) == [Grant(), Grant("openai", 1.0), Grant("openai", 1.0), Grant()]


async def test_a_cost_above_the_burst_passes_when_the_key_is_unused(ledger: Ledger, clock: Clock) -> None:
    assert await ask(ledger, "a", rate(5.0))
    assert await ask(ledger, "b", rate(5.0)) == Grant("openai", 5.0)
    clock.move(5.0)
    assert await ask(ledger, "b", rate(5.0))


async def test_one_reservation_may_charge_a_key_twice(ledger: Ledger) -> None:
    assert await ask(ledger, "a", rate(1.0), rate(1.0))
    assert await ask(ledger, "b", Slot("s", 1), Slot("s", 1)) == Grant("s", None)


async def test_slots_are_held_until_they_are_released(ledger: Ledger) -> None:
    assert await ask(ledger, "a", Slot("s", 2))
    assert await ask(ledger, "b", Slot("s", 2))
    assert await ask(ledger, "c", Slot("s", 2)) == Grant("s", None)
    assert list(await ledger.release("w1", [Release("a")])) == [True]
    assert await ask(ledger, "c", Slot("s", 2))


async def test_a_reservation_is_released_once_and_by_its_holder_only(ledger: Ledger) -> None:
    assert await ask(ledger, "a", Slot("s", 1))
    assert list(await ledger.release("w2", [Release("a")])) == [False]
    assert list(await ledger.release("w1", [Release("a"), Release("a"), Release("?")])) == [True, False, False]
    assert await gauge(ledger, "s") is None


async def test_what_was_never_used_costs_nothing(ledger: Ledger) -> None:
    assert await ask(ledger, "a", rate(2.0))
    assert await ask(ledger, "b", rate(), holder="w2") == Grant("openai", 1.0)
    assert list(await ledger.release("w1", [Release("a", was_used=False)])) == [True]
    assert await ask(ledger, "b", rate(2.0))


async def test_what_was_used_stays_spent_when_it_is_released(ledger: Ledger) -> None:
    assert await ask(ledger, "a", rate(2.0, is_estimate=True))
    await ledger.release("w1", [Release("a")])
    assert await ask(ledger, "b", rate()) == Grant("openai", 1.0)


async def test_a_cheaper_run_gives_the_rest_of_its_estimate_back(ledger: Ledger) -> None:
    assert await ask(ledger, "a", rate(2.0, is_estimate=True))
    assert list(await ledger.correct("w1", [Correction("a", "openai", 0.5)])) == [True]
    assert await ask(ledger, "b", rate(1.5))


async def test_a_dearer_run_lets_others_wait_longer(ledger: Ledger) -> None:
    assert await ask(ledger, "a", rate(2.0, is_estimate=True))
    assert list(await ledger.correct("w1", [Correction("a", "openai", 6.0)])) == [True]
    assert await ask(ledger, "b", rate(1.0)) == Grant("openai", 5.0)


async def test_a_dearer_run_is_owed_also_where_the_key_was_forgotten(ledger: Ledger, clock: Clock) -> None:
    assert await ask(ledger, "a", rate(2.0))
    clock.move(10.0)
    await ledger.adjust([Pause("openai", 0.0)])  # whatever makes the engine look
    assert list(await ledger.correct("w1", [Correction("a", "openai", 6.0)])) == [True]
    assert await ask(ledger, "b", rate(1.0)) == Grant("openai", 3.0)


async def test_what_had_run_out_already_is_not_given_back(ledger: Ledger, clock: Clock) -> None:
    assert await ask(ledger, "a", rate(2.0))
    assert await ask(ledger, "b", rate(0.0))
    clock.move(1.5)
    assert all(await ledger.correct("w1", [Correction("a", "openai", 0.0), Correction("b", "openai", 4.0)]))
    assert await ask(ledger, "c", rate(1.0)) == Grant("openai", 3.0)


async def test_a_correction_counts_once_however_often_it_is_sent(ledger: Ledger) -> None:
    assert await ask(ledger, "a", rate(2.0), Slot("s", 1))
    for _ in range(2):
        assert list(await ledger.correct("w1", [Correction("a", "openai", 1.0)])) == [True]
    found = await gauge(ledger, "openai")
    assert found is not None and found.used == 1.0
    wrong = [Correction("a", "tokens", 1.0), Correction("a", "s", 1.0), Correction("?", "openai", 1.0)]
    assert list(await ledger.correct("w1", wrong)) == [False] * 3
    assert list(await ledger.correct("w2", [Correction("a", "openai", 0.0)])) == [False]


async def test_a_dead_holder_loses_its_slots_and_gets_back_what_it_had_only_estimated(
    ledger: Ledger, clock: Clock
) -> None:
    slow = {"amount": 1.0, "per": 1000.0, "burst": 10.0}
    charges = (Slot("s", 1), rate(6.0, "guess", is_estimate=True, **slow), rate(6.0, "spent", **slow))
    assert await ask(ledger, "a", *charges)
    clock.move(TERM)
    assert await ask(ledger, "b", Slot("s", 1), rate(10.0, "guess", **slow), holder="w2")
    assert (await ask(ledger, "c", rate(6.0, "spent", **slow), holder="w2")).key == "spent"
    assert list(await ledger.release("w1", [Release("a")])) == [False]


async def test_a_corrected_cost_is_spent_though_its_holder_died(ledger: Ledger, clock: Clock) -> None:
    slow = {"amount": 1.0, "per": 1000.0, "burst": 10.0}
    assert await ask(ledger, "a", rate(2.0, is_estimate=True, **slow))
    await ledger.correct("w1", [Correction("a", "openai", 8.0)])
    clock.move(TERM)
    assert (await ask(ledger, "b", rate(5.0, **slow), holder="w2")).key == "openai"


async def test_renewing_holds_everything_and_a_new_reservation_renews_too(ledger: Ledger, clock: Clock) -> None:
    assert await ask(ledger, "a", Slot("s", 1))
    clock.move(TERM - 1)
    assert await ledger.renew("w1", TERM) is True
    clock.move(TERM - 1)
    assert await ask(ledger, "b", rate())
    clock.move(TERM - 1)
    assert await ask(ledger, "c", Slot("s", 1), holder="w2") == Grant("s", None)


async def test_who_renews_too_late_is_told_that_it_holds_nothing_any_more(ledger: Ledger, clock: Clock) -> None:
    assert await ledger.renew("w1", TERM) is False
    assert await ask(ledger, "a", Slot("s", 1))
    clock.move(TERM)
    assert await ledger.renew("w1", TERM) is False
    assert await ask(ledger, "b", Slot("s", 1), holder="w2")


async def test_who_renews_for_no_time_lets_go_of_everything(ledger: Ledger) -> None:
    assert await ask(ledger, "a", Slot("s", 1))
    assert await ledger.renew("w1", 0.0) is True
    assert await ask(ledger, "b", Slot("s", 1), holder="w2")


async def test_a_run_that_was_given_to_another_worker_brings_its_reservation_along(
    ledger: Ledger, clock: Clock
) -> None:
    assert await ask(ledger, "a", Slot("s", 1))
    clock.move(1.0)
    assert await ask(ledger, "a", Slot("s", 1), holder="w2")
    assert list(await ledger.release("w1", [Release("a")])) == [False]
    clock.move(TERM - 1)
    assert await ask(ledger, "b", Slot("s", 1), holder="w1") == Grant("s", None)
    assert list(await ledger.release("w2", [Release("a")])) == [True]


async def test_a_pause_holds_for_everybody_and_the_longest_counts(ledger: Ledger, other: Engine, clock: Clock) -> None:
    await ledger.adjust([Pause("openai", 20.0), Pause("s", 5.0)])
    await other.ledger.adjust([Pause("openai", 3.0)])
    assert await ask(other.ledger, "a", rate()) == Grant("openai", 20.0)
    assert await ask(other.ledger, "b", Slot("s", 1)) == Grant("s", 5.0)
    clock.move(20.0)
    assert await ask(other.ledger, "a", rate(), Slot("s", 1))


async def test_a_pause_can_be_lifted(ledger: Ledger) -> None:
    await ledger.adjust([Pause("openai", 20.0)])
    await ledger.adjust([Pause("openai", 0.0)])
    assert await ask(ledger, "a", rate())


async def test_another_limit_than_the_declared_one_counts_for_its_time(ledger: Ledger, clock: Clock) -> None:
    assert await ask(ledger, "a", rate(2.0))
    await ledger.adjust([Adapt("openai", 5.0, 10.0, 4.0), Adapt("s", 1, 1.0, 4.0)])
    assert await ask(ledger, "b", rate()) == Grant("openai", 2.0)
    assert await ask(ledger, "c", Slot("s", 2))
    assert await ask(ledger, "d", Slot("s", 2)) == Grant("s", None)
    clock.move(2.0)
    assert await ask(ledger, "b", rate())
    assert await ask(ledger, "e", rate(2.0)) == Grant("openai", 3.0)  # 2 s at half, 1 s at the declared rate
    clock.move(2.0)
    assert await ask(ledger, "d", Slot("s", 2))
    clock.move(1.0)
    assert await ask(ledger, "e", rate(2.0))


async def test_what_runs_out_while_the_limit_changes_runs_out_at_both_rates(ledger: Ledger, clock: Clock) -> None:
    assert await ask(ledger, "a", rate(6.0, burst=6.0))
    await ledger.adjust([Adapt("openai", 5.0, 10.0, 4.0)])
    clock.move(6.0)  # 2 in the first four seconds, 2 in the other two
    assert await ask(ledger, "b", rate(5.0, burst=6.0)) == Grant("openai", 1.0)
