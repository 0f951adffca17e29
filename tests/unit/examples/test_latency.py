"""The stand-in is as slow as what was published, and as uneven."""

import random
import statistics

import pytest

from examples.provider.latency import CHAT, VISION, LogNormal

DRAWS = 200_000


@pytest.mark.parametrize("published", [VISION, CHAT], ids=["vision", "chat"])
def test_draws_have_the_published_mean_and_99th_percentile(published: LogNormal) -> None:
    chance = random.Random(1)
    drawn = sorted(published.draw(chance) for _ in range(DRAWS))
    assert statistics.fmean(drawn) == pytest.approx(published.mean_s, rel=0.01)
    assert drawn[int(DRAWS * 0.99)] == pytest.approx(published.p99_s, rel=0.03)


def test_scaling_keeps_the_shape_and_divides_the_times() -> None:
    slow, fast = random.Random(2), random.Random(2)
    assert VISION.scaled(40).draw(fast) == pytest.approx(VISION.draw(slow) / 40)


def test_a_99th_percentile_below_the_mean_fits_no_distribution() -> None:
    with pytest.raises(ValueError, match="no log-normal"):
        _ = LogNormal(mean_s=10, p99_s=9).spread
