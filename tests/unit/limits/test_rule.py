"""Rules: how limits are declared, what is refused, and what a call is charged."""

from typing import Any

import pytest

from polypool import ArgumentError, Concurrency, ConfigurationError, Polypool, Rate
from polypool.core import ledger
from polypool.core.ledger import Slot
from polypool.limits.rule import Rules, together


def app() -> Polypool:
    return Polypool("limits", "memory://")


@pytest.mark.parametrize(
    ("rate", "amount", "per"),
    [("5/s", 5, 1), ("500/m", 500, 60), ("1_000/h", 1000, 3600), ("2.5/d", 2.5, 86_400), ("10 / 15s", 10, 15)],
)
def test_a_rate_is_an_amount_and_a_window(rate: str, amount: float, per: float) -> None:
    rule = Rate("api", rate)
    assert (rule.amount, rule.per) == (amount, per)


@pytest.mark.parametrize("rate", ["", "5", "5/", "/m", "0/m", "-1/s", "5/w", "5/0s", "five/m", "5/.s", 5, None])
def test_what_is_no_rate_is_refused_with_an_example(rate: Any) -> None:
    with pytest.raises(ConfigurationError, match="500/m"):
        Rate("api", rate)


@pytest.mark.parametrize("key", ["", None, "{", "tenant:{}", "x\0", "x" * 1001])
def test_what_is_no_key_is_refused(key: Any) -> None:
    with pytest.raises(ConfigurationError):
        Concurrency(key, 1)


@pytest.mark.parametrize("limit", [0, -1, True, 1.5, "3"])
def test_what_is_no_number_of_runs_is_refused(limit: Any) -> None:
    with pytest.raises(ConfigurationError, match="whole number"):
        Concurrency("tenant", limit)


@pytest.mark.parametrize("options", [{"cost": 0}, {"cost": "a lot"}, {"burst": 0}, {"burst": float("inf")}])
def test_what_is_no_cost_and_no_burst_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="above 0"):
        Rate("api", "5/s", **options)


@pytest.mark.parametrize(
    "options",
    [
        {"rate_limit": "fast"},
        {"limits": "500/m"},
        {"limits": ["500/m"]},
        {"limits": [Rate("tenant:{tennant}", "5/s")]},
        {"limits": [Rate("api", "5/s"), Rate("api", "500/m")]},
    ],
)
def test_the_decorator_refuses_limits_that_cannot_be(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):

        @app().task(**options)
        def work(tenant: str) -> None: ...


def test_a_task_is_sent_with_what_its_limits_charge_it() -> None:
    @app().task(
        rate_limit="10/s",
        limits=[
            Rate("tokens", "100/m", cost=lambda tenant, text: len(text), burst=50),
            Concurrency("tenant:{tenant}", 3),
        ],
        name="shop.{work}",
    )
    def work(tenant: str, text: str = "") -> None: ...

    assert work.spec.charges is None
    assert work.drafts.message_of(("acme", "four"), {}).charges == (
        ledger.Rate("shop.{work}", 10.0, 1.0, 1.0, 2.0),
        ledger.Rate("tokens", 100.0, 60.0, 4.0, 50.0, is_estimate=True),
        Slot("tenant:acme", 3),
    )


def test_arguments_by_name_by_default_and_beyond_the_named_ones_make_keys() -> None:
    def charged(*args: Any, **kwargs: Any) -> str:
        @app().task(limits=[Concurrency("{tenant}/{region}/{more}", 1)])
        def work(tenant: str, region: str = "eu", **others: Any) -> None: ...

        (charge,) = work.drafts.message_of(args, kwargs).charges or ()
        return charge.key

    assert charged("acme", more=1) == "acme/eu/1"
    assert charged(tenant="acme", region="us", more=2) == "acme/us/2"


def test_a_key_or_a_cost_that_cannot_be_told_is_refused_where_the_task_is_sent() -> None:
    def broken(tenant: str) -> float:
        raise LookupError("no price")

    @app().task(limits=[Rate("api", "5/s", cost=broken)])
    def work(tenant: str) -> None: ...

    with pytest.raises(ArgumentError, match="no price"):
        work.drafts.message_of(("acme",), {})


def test_what_depends_on_no_argument_is_known_of_every_step_and_the_rest_when_it_runs() -> None:
    one = app()

    @one.task(rate_limit="5/s")
    def fixed(value: int) -> int:
        return value

    @one.task(limits=[Concurrency("tenant:{tenant}", 3)])
    def depends(tenant: int) -> int:
        return tenant

    assert fixed.spec.charges == fixed.drafts.message_of((1,), {}).charges != ()
    assert depends.spec.charges is None


def test_a_chunk_is_charged_the_sum_of_its_items_and_a_slot_of_each_key() -> None:
    rules = Rules("t", [Rate("tokens", "100/m", cost=lambda n: n, burst=50), Concurrency("of:{n}", 2)])
    charged = together(rules.charges((n,), {}, lambda n=n: {"n": n}) for n in (1, 2, 2))  # type: ignore[misc]
    assert charged == (
        ledger.Rate("tokens", 100.0, 60.0, 5.0, 50.0, is_estimate=True),
        Slot("of:1", 2),
        Slot("of:2", 2),
    )
