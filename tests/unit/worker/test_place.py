"""A task with pool="auto" is run where its measurements say it belongs."""

from collections.abc import Sequence

from polypool.core.manifest import Manifest, TaskSpec
from polypool.core.message import Delivery
from polypool.core.outcome import Done, Usage
from polypool.core.pool_port import Pool as PoolPort
from polypool.worker.book import Book
from polypool.worker.place import LOOK_EVERY, Placement
from tests.unit.worker.stand import Pool, delivery

AUTO = Manifest("shop", "memory://", (TaskSpec("shop.pack", "auto"), TaskSpec("shop.send", "threads")))


class Placed:
    """A placement over pools that only remember."""

    def __init__(self) -> None:
        self.book = Book()
        self.pools: dict[str, Pool] = {"threads": Pool(), "prefork": Pool()}
        self.placement = Placement(self.book, self._start, self.pools)
        self.placement.learn(AUTO)

    def _start(self, deliveries: Sequence[Delivery], pool: PoolPort) -> None:
        pool.run(deliveries)

    def run(self, count: int, cpu: float, pool: str) -> None:
        """Runs of half a second each that took so much processor time."""
        for number in range(count):
            one = delivery(str(number))
            self.placement.start([one])
            self.book.count(one, pool, Done(b"", Usage(1000.0 + number, 0.5, cpu)))


def test_a_blocking_task_begins_on_threads_and_stays_there_while_it_waits() -> None:
    placed = Placed()
    placed.run(2 * LOOK_EVERY + 1, cpu=0.01, pool="threads")
    assert len(placed.pools["threads"].ran) == 2 * LOOK_EVERY + 1
    assert placed.pools["prefork"].ran == []


def test_a_task_that_burns_processor_time_moves_to_processes() -> None:
    placed = Placed()
    placed.run(2 * LOOK_EVERY, cpu=0.49, pool="threads")
    placed.run(5, cpu=0.49, pool="prefork")
    assert len(placed.pools["prefork"].ran) >= 5


def test_looking_for_room_is_no_run_and_tells_of_the_pool_in_use_only() -> None:
    placed = Placed()
    placed.pools["prefork"].slots = 0
    for _ in range(3 * LOOK_EVERY):
        assert placed.placement.free() == 100
    assert placed.placement.kinds() == {"threads", "prefork"}


def test_a_task_the_app_does_not_have_is_brought_where_it_is_refused() -> None:
    placed = Placed()
    placed.placement.start([delivery("a", task="shop.unheard")])
    assert [one.id for pool in placed.pools.values() for one in pool.ran] == ["a"]
