"""What a word of the ledger refuses: what an engine could not store, and numbers that count nothing."""

from collections.abc import Callable

import pytest

from polypool.core.ledger import Adapt, Correction, Grant, Pause, Rate, Reservation, Slot, Tick, Unique

NAMED: list[Callable[[str], object]] = [
    lambda key: Rate(key, 1.0, 1.0),
    lambda key: Slot(key, 1),
    lambda key: Reservation(key, ()),
    lambda key: Pause(key, 1.0),
    lambda key: Adapt(key, 1.0, 1.0, 1.0),
    lambda key: Unique(key, "owner", 1.0),
    lambda key: Unique("key", key, 1.0),
    lambda key: Tick(key, 1.0, "owner"),
    lambda key: Tick("name", 1.0, key),
]
NUMBERED: list[Callable[[float], object]] = [
    lambda number: Rate("k", number, 1.0),
    lambda number: Rate("k", 1.0, number),
    lambda number: Rate("k", 1.0, 1.0, burst=number),
    lambda number: Rate("k", 1.0, 1.0, cost=number),
    lambda number: Slot("k", number),  # type: ignore[arg-type]
    lambda number: Correction("a", "k", number),
    lambda number: Pause("k", number),
    lambda number: Adapt("k", number, 1.0, 1.0),
    lambda number: Adapt("k", 1.0, number, 1.0),
    lambda number: Adapt("k", 1.0, 1.0, number),
    lambda number: Unique("k", "owner", number),
]


@pytest.mark.parametrize("key", ["", "a\0b", "\ud800", "x" * 1001, "ä" * 501])
@pytest.mark.parametrize("made", NAMED)
def test_a_key_that_some_engine_could_not_store_is_refused(made: Callable[[str], object], key: str) -> None:
    with pytest.raises(ValueError, match="cannot be a key of the ledger"):
        made(key)


@pytest.mark.parametrize("made", NAMED)
def test_a_key_may_be_any_other_text(made: Callable[[str], object]) -> None:
    made("tenant:{42} ä \n" + "x" * 900)


@pytest.mark.parametrize("number", [-1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("made", NUMBERED)
def test_a_number_that_counts_nothing_is_refused(made: Callable[[float], object], number: float) -> None:
    with pytest.raises(ValueError, match="is a number"):
        made(number)


def test_a_cost_and_a_pause_may_be_nothing_but_a_limit_may_not() -> None:
    assert (Rate("k", 1.0, 1.0, cost=0.0).cost, Pause("k", 0.0).seconds, Correction("a", "k", 0.0).cost) == (0, 0, 0)
    with pytest.raises(ValueError, match="amount is a number above 0, not 0"):
        Rate("k", 0.0, 1.0)


def test_a_tick_needs_a_time_that_there_is() -> None:
    with pytest.raises(ValueError, match="at is a Unix time"):
        Tick("nightly", float("nan"), "owner")


def test_a_grant_is_true_and_a_refusal_is_not() -> None:
    assert Grant()
    assert not Grant("openai", 1.0)
