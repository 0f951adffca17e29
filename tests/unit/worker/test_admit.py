"""Admission keeps the books: estimates and what was used, slots, renewals, an engine that is away."""

import pytest

from polypool.brokers.memory import MemoryEngine
from polypool.core.ask import Spend
from polypool.core.error import EngineUnreachable
from polypool.core.ledger import Charge, Gauge, Rate, Slot
from polypool.core.message import Delivery
from polypool.core.outcome import Deferred, Done, Lost
from polypool.worker.admit import Admission
from tests.unit.worker.stand import Away, Pool, delivery

TOKENS = Rate("tokens", 1_000.0, 1_000.0, 100.0, 500.0, is_estimate=True)
SLOT = Slot("tenant", 1)


class Door:
    """An admission before a memory ledger, which can be cut off, and a clock that only the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.begun: list[Delivery] = []
        self.ledger = Away(MemoryEngine(lambda: self.now).ledger, "reserve", "release", "renew")
        self.pool = Pool()
        ledger: object = self.ledger
        self.admission = Admission(
            ledger, "w1", 30.0, lambda several, _: self.begun.extend(several), lambda *_: None, lambda: self.now  # type: ignore[arg-type]
        )  # fmt: skip

    async def begin(self, id: str, *charges: Charge) -> Delivery:
        one = delivery(id, charges=charges)
        self.admission.add(one, self.pool)
        await self.admission.step()
        return one

    async def gauge(self, key: str) -> Gauge | None:
        found: list[Gauge] = list(await self.ledger.look(key))
        return found[0] if found else None

    async def used(self) -> float:
        gauge = await self.gauge("tokens")
        return gauge.used if gauge is not None else 0.0


@pytest.mark.parametrize(
    ("used", "at_once", "in_the_end"),
    [([30.0], 100.0, 30.0), ([60.0, 20.0], 100.0, 80.0), ([90.0, 60.0], 150.0, 150.0), ([], 100.0, 100.0)],
)
async def test_what_is_used_above_the_estimate_is_owed_at_once_and_what_is_not_used_comes_back_at_the_end(
    used: list[float], at_once: float, in_the_end: float
) -> None:
    door = Door()
    run = await door.begin("a", TOKENS)
    for one in used:
        assert door.admission.spend(Spend("a", 1, "tokens", one))
    await door.admission.step()
    assert await door.used() == at_once
    door.admission.ended(run, Done(b""))
    await door.admission.step()
    assert await door.used() == in_the_end


async def test_what_a_run_that_is_over_spends_is_nobodys() -> None:
    door = Door()
    assert not door.admission.spend(Spend("a", 1, "tokens", 5.0))


async def test_a_run_that_did_not_begin_costs_nothing_and_one_that_was_lost_is_paid() -> None:
    door = Door()
    for outcome, cost in ((Deferred(), 0.0), (Lost("killed"), 100.0)):
        run = await door.begin(f"of {cost}", TOKENS)
        door.admission.ended(run, outcome)
        await door.admission.step()
        assert await door.used() == cost


async def test_a_slot_is_free_for_the_next_when_the_run_before_it_ends() -> None:
    door = Door()
    first = await door.begin("a", SLOT)
    second = await door.begin("b", SLOT)
    assert door.begun == [first] and len(door.admission) == 1
    door.admission.ended(first, Done(b""))
    await door.admission.step()
    assert door.begun == [first, second] and len(door.admission) == 0


async def test_who_is_forgotten_while_it_asks_does_not_begin_and_costs_nothing() -> None:
    door = Door()
    door.ledger.is_away = True
    with pytest.raises(EngineUnreachable):
        await door.begin("a", TOKENS, SLOT)
    assert door.admission.asking("threads") == 1
    assert [one.id for one, _ in door.admission.forget({"a"})] == ["a"]
    assert door.admission.forget() == []
    door.ledger.is_away = False
    await door.admission.step()
    await door.admission.step()
    assert door.begun == [] and await door.used() == 0.0
    await door.begin("b", SLOT)
    assert [one.id for one in door.begun] == ["b"]


async def test_an_engine_that_was_away_loses_no_reservation_and_no_release() -> None:
    door = Door()
    door.ledger.is_away = True
    with pytest.raises(EngineUnreachable):
        await door.begin("a", SLOT)
    door.ledger.is_away = False
    await door.admission.step()
    (run,) = door.begun
    door.ledger.is_away = True
    door.admission.ended(run, Done(b""))
    with pytest.raises(EngineUnreachable):
        await door.admission.step()
    door.ledger.is_away = False
    await door.admission.step()
    await door.admission.drained()
    assert (await door.gauge("tenant")) is None or (await door.gauge("tenant")).held == 0  # type: ignore[union-attr]


async def test_slots_of_a_long_run_are_held_as_long_as_it_lasts() -> None:
    door = Door()
    first = await door.begin("a", SLOT)
    for _ in range(20):
        at = door.admission.next_at()
        assert at is not None and at <= door.now + 10.0
        door.now = at
        await door.admission.step()
    assert door.now > 1100.0
    await door.begin("b", SLOT)
    assert door.begun == [first]


async def test_nobody_is_granted_for_whom_there_is_no_slot_in_the_pool() -> None:
    door = Door()
    door.pool.slots = 0
    await door.begin("a", TOKENS)
    assert door.begun == [] and await door.used() == 0.0 and door.admission.next_at() is None
    door.pool.slots = 1
    door.admission.notice_room()
    await door.admission.step()
    assert [one.id for one in door.begun] == ["a"]
