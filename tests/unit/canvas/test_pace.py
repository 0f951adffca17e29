"""Pace: the size of chunks, on synthetic timings of a cluster that is simulated event by event."""

import heapq
import math
import random
from collections.abc import Callable
from itertools import accumulate
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polypool.canvas.pace import (
    AHEAD_S,
    FEWEST_AHEAD,
    GIVES_UP_S,
    GROWTH,
    MODEST,
    MOST_BYTES,
    TARGET_S,
    Pace,
)

Cost = Callable[[int], float]
"""Seconds that the first so many items take together."""

OVERHEAD_S = 1e-4
"""What each chunk takes besides its items."""


class Cluster:
    """Slots that run chunks in the order of their sending, and a sender that does as a Pace says."""

    def __init__(self, pace: Pace, cost: Cost, slots: int) -> None:
        self.pace = pace
        self.cost = cost
        self.sizes: list[int] = []
        self.walls: list[float] = []
        self.at_once: list[int] = []
        self._free = [0.0] * slots
        """When each slot is free."""
        self._running: list[tuple[float, float, int]] = []
        self._sent = 0
        self._now = 0.0

    def run(self, items: int) -> None:
        """Send so many items and run them all."""
        while self._sent < items:
            while len(self._running) >= self.pace.ahead:
                self._end_first()
            self._send(min(self.pace.size, items - self._sent))
        while self._running:
            self._end_first()

    @property
    def ended_at(self) -> float:
        return max(self._free)

    @property
    def idle_at_the_end(self) -> float:
        """Seconds that a slot waited for the last one, on average."""
        return sum(self.ended_at - one for one in self._free) / len(self._free)

    def _send(self, size: int) -> None:
        start = max(heapq.heappop(self._free), self._now)
        wall = OVERHEAD_S + self.cost(self._sent + size) - self.cost(self._sent)
        heapq.heappush(self._free, start + wall)
        heapq.heappush(self._running, (start + wall, start, size))
        self._sent += size
        self.pace.took(size, 4 * size)
        self.sizes.append(size)
        self.walls.append(wall)
        self.at_once.append(len(self._running))

    def _end_first(self) -> None:
        end, start, size = heapq.heappop(self._running)
        self._now = max(self._now, end)
        self.pace.ended(size, start, end - start, 4 * size)


def later(cluster: Cluster) -> list[float]:
    """What chunks took once it had found its pace: after the first third of the items."""
    read, walls = 0, []
    for size, wall in zip(cluster.sizes, cluster.walls, strict=True):
        read += size
        if read > sum(cluster.sizes) / 3:
            walls.append(wall)
    return walls


@pytest.mark.parametrize("slots", [1, 2, 64])
@pytest.mark.parametrize("cost_s", [1e-6, 50e-6, 3e-3, 0.1])
def test_items_that_cost_the_same_come_in_chunks_of_half_a_second(cost_s: float, slots: int) -> None:
    cluster = Cluster(Pace(), lambda n: n * cost_s, slots)
    cluster.run(int(60 * slots * TARGET_S / cost_s))
    walls = later(cluster)[:-1]
    assert min(walls) > 0.8 * TARGET_S
    assert max(walls) < 1.25 * TARGET_S


def test_items_of_seconds_come_alone() -> None:
    cluster = Cluster(Pace(), lambda n: n * 7.0, slots=4)
    cluster.run(200)
    assert set(cluster.sizes) == {1}


@settings(max_examples=30, deadline=None)
@given(start=st.floats(1e-4, 0.05), factor=st.floats(0.05, 20.0), slots=st.integers(1, 8))
def test_a_cost_that_drifts_is_followed(start: float, factor: float, slots: int) -> None:
    """Exponentially, by up to 20 times over some hundred chunks a slot."""
    items = int(400 * slots * TARGET_S / (start * max(factor, 1.0)))
    rate = math.log(factor) / items

    def cost(n: int) -> float:
        return start * (math.expm1(rate * n) / rate if abs(rate) > 1e-12 else n)

    cluster = Cluster(Pace(), cost, slots)
    cluster.run(items)
    walls = later(cluster)
    assert TARGET_S / 2 < median(walls) < TARGET_S * 2


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), mean=st.floats(1e-3, 5e-3), slots=st.integers(1, 8))
def test_a_heavy_tail_neither_stops_it_nor_makes_chunks_tiny(seed: int, mean: float, slots: int) -> None:
    """Pareto with α = 1.5: a finite mean, an infinite variance."""
    chance = random.Random(seed)
    items = int(60 * slots * TARGET_S / mean)
    costs = list(accumulate((mean * chance.paretovariate(1.5) / 3 for _ in range(items)), initial=0.0))
    cluster = Cluster(Pace(), costs.__getitem__, slots)
    cluster.run(items)
    walls = later(cluster)
    assert TARGET_S / 4 < median(walls) < TARGET_S * 2
    assert sum(walls) / len(walls) < 3 * TARGET_S


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10_000), slots=st.integers(1, 8))
def test_no_size_goes_beyond_what_growth_allows_over_what_was_seen(seed: int, slots: int) -> None:
    chance = random.Random(seed)
    pace, largest = Pace(), 0
    for _ in range(200):
        size = pace.size
        assert 1 <= size <= max(GROWTH * largest, 1)
        pace.took(size, size)
        pace.ended(size, 0.0, chance.expovariate(1 / (size * 10 ** chance.uniform(-6, 0))))
        largest = max(largest, size)


def test_half_a_second_is_reached_after_a_few_probes() -> None:
    cluster = Cluster(Pace(), lambda n: n * 50e-6, slots=2)
    cluster.run(1_000_000)
    probes = [wall for wall in cluster.walls if wall < 0.4 * TARGET_S]
    assert sum(probes[: len(probes)]) < 0.03 * sum(cluster.walls)
    assert len(cluster.sizes) < 300


@pytest.mark.parametrize("slots", [2, 8, 32])
def test_towards_a_known_end_chunks_shrink_and_slots_end_together(slots: int) -> None:
    items = int(slots * 30 / 1e-3)
    known, unknown = (Cluster(Pace(total), lambda n: n * 1e-3, slots) for total in (items, None))
    known.run(items)
    unknown.run(items)
    assert known.idle_at_the_end < 0.1 * TARGET_S
    assert known.ended_at <= unknown.ended_at * 1.01
    assert known.sizes[-1] < known.sizes[len(known.sizes) // 2] / 3


def test_a_hint_that_was_too_small_does_no_harm() -> None:
    cluster = Cluster(Pace(100), lambda n: n * 1e-3, slots=2)
    cluster.run(60_000)
    assert TARGET_S / 2 < median(later(cluster)) < TARGET_S * 1.5


@pytest.mark.parametrize("slots", [1, 4, 100, 1000])
def test_enough_is_sent_ahead_for_every_slot_and_not_much_more(slots: int) -> None:
    cluster = Cluster(Pace(), lambda n: n * 0.01, slots)
    cluster.run(slots * 6000 if slots < 1000 else 2_000_000)
    assert max(cluster.at_once) >= 2 * slots
    assert max(cluster.at_once) <= max(2 * slots * AHEAD_S / TARGET_S, FEWEST_AHEAD)


def test_chunks_stay_below_what_a_message_may_have() -> None:
    pace = Pace()
    for _ in range(60):
        size = pace.size
        assert size == 1 or size * 10_000 <= MOST_BYTES
        pace.took(size, 10_000 * size)
        pace.ended(size, 0.0, 1e-6 * size, 100 * size)
    for _ in range(60):
        size = pace.size
        assert size * 10_000 <= MOST_BYTES
        pace.took(size, 10 * size)
        pace.ended(size, 0.0, 1e-6 * size, 10_000 * size)


def test_without_a_worker_it_is_given_up_and_goes_on_with_a_modest_size() -> None:
    pace = Pace()
    pace.silent(GIVES_UP_S - 0.1, running=0, queued=16)
    assert (pace.size, pace.waits) == (1, True)
    pace.silent(GIVES_UP_S, running=0, queued=16)
    assert (pace.size, pace.waits) == (MODEST, False)
    pace.ended(MODEST, 0.0, 0.3)
    assert (pace.size, pace.waits) == (50, True)


def test_a_worker_that_stopped_is_not_waited_for_either_but_the_size_stays() -> None:
    pace = Pace()
    for _ in range(10):
        pace.ended(100, 0.0, 0.5)
    pace.silent(GIVES_UP_S, running=0, queued=20)
    assert (pace.size, pace.waits) == (100, False)


def test_a_slow_first_chunk_is_waited_for_and_keeps_chunks_small() -> None:
    pace = Pace()
    for second in range(1, 60):
        pace.silent(float(second), running=4, queued=12)
        assert (pace.size, pace.waits, pace.ahead) == (1, True, FEWEST_AHEAD)


def test_where_nothing_is_queued_more_is_sent_although_nothing_ended() -> None:
    pace = Pace()
    for second in range(1, 7):
        pace.silent(float(second), running=pace.ahead, queued=0)
    assert pace.ahead == FEWEST_AHEAD * 64


def test_chunks_that_all_fail_teach_nothing_and_do_not_stay_single() -> None:
    pace = Pace()
    for _ in range(16):
        assert pace.size == 1
        pace.failed()
    assert pace.size == MODEST
