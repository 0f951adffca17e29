"""What several workers let begin through their gates, together, on one ledger: never above a limit, and at it."""

import asyncio
import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polypool.brokers.memory import MemoryEngine
from polypool.core.codec import encode
from polypool.core.ledger import Charge, Pause, Rate, Slot
from polypool.core.message import Delivery, Message
from polypool.core.outcome import Done, Limited
from polypool.core.pool_port import Pool
from polypool.worker.admit import Admission
from tests.unit.worker.stand import Pool as RememberingPool

SLACK = 1e-6


class Cluster:
    """Workers before one memory ledger, what waits for them in the engine, and a clock that only the test moves."""

    def __init__(self, workers: int, run_s: float = 0.0) -> None:
        self.now = 1000.0
        self.admitted: list[tuple[float, Delivery]] = []
        self.running: list[tuple[float, int, Delivery]] = []
        self.waiting: list[tuple[float, Delivery]] = []
        self.put_off_count = 0
        self._run_s = run_s
        self._ledger = MemoryEngine(lambda: self.now).ledger
        self._numbers = itertools.count(1)
        self.pool = RememberingPool()
        self.pool.slots = 1_000_000
        self.workers = [self._worker(index) for index in range(workers)]

    def _worker(self, index: int) -> Admission:
        def admit(deliveries: "list[Delivery]", pool: Pool) -> None:
            for delivery in deliveries:
                self.admitted.append((self.now, delivery))
                self.running.append((self.now + self._run_s, index, delivery))

        def put_off(delivery: Delivery, until: float) -> None:
            self.put_off_count += 1
            self.waiting.append((until, delivery))

        return Admission(self._ledger, f"w{index}", 60.0, admit, put_off, lambda: self.now)  # type: ignore[arg-type]

    def send(self, charges: tuple[Charge, ...], priority: int = 0, name: str = "") -> None:
        number = next(self._numbers)
        message = Message(
            id=name or f"m{number}", task="t", args=encode([[], {}]), sent_at=self.now, priority=priority,
            charges=charges,
        )  # fmt: skip
        self.waiting.append((0.0, Delivery(message, b"", 1, 1, self.now)))

    async def turn(self, chance: random.Random) -> None:
        """Workers take what is due, in the order an engine gives it, end what is over, and turn once each."""
        due = [one for one in self.waiting if one[0] <= self.now]
        self.waiting = [one for one in self.waiting if one[0] > self.now]
        for _, delivery in sorted(due, key=lambda one: (-one[1].message.priority, one[1].message.sent_at)):
            again = Delivery(delivery.message, b"", next(self._numbers), 1, self.now)
            chance.choice(self.workers).add(again, self.pool)
        over = [one for one in self.running if one[0] <= self.now]
        self.running = [one for one in self.running if one[0] > self.now]
        for _, index, delivery in over:
            self.workers[index].ended(delivery, Done(b""))
        for worker in self.workers:
            await worker.step()

    async def live(self, seconds: float, late: float = 0.0, seed: int = 0) -> None:
        """So long, from one thing that is to happen to the next; each up to `late` seconds too late."""
        chance, until = random.Random(seed), self.now + seconds
        while self.now < until:
            await self.turn(chance)
            times = [at for at, _ in self.waiting] + [at for at, _, _ in self.running]
            times += [at for worker in self.workers if (at := worker.next_at()) is not None]
            self.now = min(max(min(times, default=until), self.now + 1e-4) + chance.random() * late, until)

    def most_in_a_window(self, per: float, key: str) -> float:
        """The highest sum of costs of a key in any window of that length."""
        costs = [(at, sum(c.cost for c in d.message.charges or () if isinstance(c, Rate) and c.key == key))
                 for at, d in self.admitted]  # fmt: skip
        highest = total = 0.0
        first = 0
        for at, cost in costs:
            total += cost
            while at - costs[first][0] >= per:
                total -= costs[first][1]
                first += 1
            highest = max(highest, total)
        return highest


@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(
    workers=st.integers(1, 4),
    amount=st.sampled_from([5.0, 50.0, 500.0]),
    burst=st.sampled_from([1.0, 4.0, 20.0]),
    costs=st.lists(st.sampled_from([0.5, 1.0, 1.0, 3.0]), min_size=5, max_size=80),
    late=st.sampled_from([0.0, 0.01, 0.3]),
    seed=st.integers(0, 5),
)
def test_no_window_of_what_was_admitted_is_above_the_limit_and_its_burst(
    workers: int, amount: float, burst: float, costs: list[float], late: float, seed: int
) -> None:
    cluster = Cluster(workers, run_s=0.2)
    for number, cost in enumerate(costs):
        cluster.send((Rate("api", amount, 10.0, cost, burst), Slot(f"tenant:{number % 3}", 2)))
    asyncio.run(cluster.live(30.0, late, seed))
    assert cluster.admitted
    highest = cluster.most_in_a_window(10.0, "api")
    assert highest <= amount + max(burst, *costs) + SLACK
    started = sorted(at for at, _ in cluster.admitted)
    for tenant in range(3):
        mine = [(at, d) for at, d in cluster.admitted if Slot(f"tenant:{tenant}", 2) in (d.message.charges or ())]
        assert all(mine[place + 2][0] >= mine[place][0] + 0.2 - SLACK for place in range(len(mine) - 2))
    assert started[0] == 1000.0


@pytest.mark.parametrize("workers", [1, 3])
async def test_the_limit_is_reached_though_workers_are_late_and_the_line_is_long(workers: int) -> None:
    cluster = Cluster(workers)
    for _ in range(2_000):
        cluster.send((Rate("api", 50.0, 1.0, burst=6.0),))
    await cluster.live(20.0, late=0.01)
    assert 0.97 * 1_000 <= len(cluster.admitted) <= 1_000 + 6
    assert all(len(worker) <= 2 * 50 * 2 + 64 for worker in cluster.workers), "the rest waits in the engine"
    assert cluster.put_off_count < 2_000 * 3


async def test_the_older_goes_first_and_the_urgent_before_it() -> None:
    cluster = Cluster(1)
    for number in range(30):
        cluster.send((Rate("api", 1.0, 1.0),), name=f"old{number}")
    await cluster.live(5.5)
    cluster.send((Rate("api", 1.0, 1.0),), name="new")
    cluster.send((Rate("api", 1.0, 1.0),), priority=5, name="urgent")
    await cluster.live(40.0)
    order = [delivery.id for _, delivery in cluster.admitted]
    assert order[-1] == "new" and order.index("urgent") == 6 and len(order) == 32
    assert [id for id in order if id.startswith("old")] == [f"old{number}" for number in range(30)]


async def test_who_needs_another_limit_does_not_wait_for_those_who_are_held_up() -> None:
    cluster = Cluster(1)
    for _ in range(3_000):
        cluster.send((Rate("slow", 1.0, 60.0),))
    for _ in range(100):
        cluster.send((Rate("quick", 1_000.0, 1.0, burst=100.0),))
    await cluster.live(0.5)
    assert sum(1 for _, delivery in cluster.admitted if delivery.message.charges[0].key == "quick") == 100  # type: ignore[index]


async def test_a_pause_holds_everybody_up_and_then_they_go_on_one_after_the_other() -> None:
    cluster = Cluster(2)
    charge = Rate("api", 10.0, 1.0)
    cluster.send((charge,))
    await cluster.live(0.01)
    refused = cluster.admitted[0][1]
    cluster.workers[0].ended(refused, Limited(5.0, (Pause("api", 5.0),)))
    cluster.workers[1].ended(refused, Limited(5.0, (Pause("api", 5.0),)))
    await cluster.turn(random.Random(0))
    paused_until = cluster.now + 5.0
    for _ in range(60):
        cluster.send((charge,))
    await cluster.live(20.0)
    times = sorted(at for at, _ in cluster.admitted)[1:]
    assert len(times) == 60 and times[0] >= paused_until - 0.02
    assert times[-1] <= paused_until + 6.5


async def test_a_line_for_a_slot_moves_as_fast_as_slots_come_back() -> None:
    cluster = Cluster(1, run_s=0.5)
    for _ in range(200):
        cluster.send((Slot("gpu", 4),))
    await cluster.live(26.0)
    assert len(cluster.admitted) == 200


async def test_those_who_are_forgotten_begin_no_more() -> None:
    cluster = Cluster(1)
    for name in ("a", "b", "c"):
        cluster.send((Rate("api", 1.0, 1.0),), name=name)
    await cluster.turn(random.Random(0))
    gone = cluster.workers[0].forget({"b"})
    assert [delivery.id for delivery, _ in gone] == ["b"]
    await cluster.live(5.0)
    assert [delivery.id for _, delivery in cluster.admitted] == ["a", "c"]
