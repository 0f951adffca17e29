"""The demo's figures are what the users saw."""

import pytest

from examples.photographs import CATALOGUE
from examples.scan.figures import Spread, figures_of, quantile
from examples.scan.users import Chain

COFFEE = CATALOGUE[0]


def chain(sent_at: float, ended_at: float, item: str = COFFEE.item, error: str = "") -> Chain:
    halfway = (sent_at + ended_at) / 2
    return Chain(
        COFFEE,
        sent_at,
        stage_ended_at={"vision": halfway, "answer": ended_at},
        first_word_at=halfway,
        ended_at=ended_at,
        result=None if error else {"item": item},
        error=error,
    )


def test_only_chains_that_ended_while_all_users_were_there_count_for_throughput() -> None:
    chains = [chain(0, 4), chain(4, 8), chain(8, 12), chain(8, 21)]
    assert figures_of(chains, counted_from=5, counted_until=20).chains_per_minute == pytest.approx(8)


def test_a_stage_lasts_from_the_end_of_the_one_before() -> None:
    figures = figures_of([chain(10, 16), chain(20, 22)], counted_from=0, counted_until=60)
    assert figures.stages["vision"].mean_s == pytest.approx(2)
    assert figures.stages["answer"].mean_s == pytest.approx(2)
    assert figures.chain is not None
    assert figures.chain.p50_s == pytest.approx(2)


def test_a_chain_that_failed_counts_against_success_and_for_nothing_else() -> None:
    figures = figures_of([chain(0, 1), chain(0, 50, error="no answer")], counted_from=0, counted_until=60)
    assert (figures.chains, figures.failed, figures.success) == (2, 1, 0.5)
    assert figures.chain is not None
    assert figures.chain.mean_s == pytest.approx(1)


def test_an_answer_about_another_thing_is_not_recognised() -> None:
    figures = figures_of([chain(0, 1), chain(0, 1, item="cat")], counted_from=0, counted_until=60)
    assert figures.recognised == 1


def test_quantiles_are_values_that_occurred() -> None:
    ordered = [float(number) for number in range(1, 101)]
    assert [quantile(ordered, share) for share in (0.5, 0.95, 0.99, 1.0)] == [50, 95, 99, 100]
    assert quantile([7.0], 0.99) == 7
    assert Spread.of([]) is None
