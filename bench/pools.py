"""How many no-op calls a second go through one pool, and what they cost the supervisor. No engine, no disk.

python -m bench.pools [KIND ...]
"""

import asyncio
import sys
import time
from pathlib import Path

from polypool.core.codec import encode
from polypool.core.message import Delivery, Message
from polypool.core.outcome import Done
from polypool.core.settings import PoolSpec
from polypool.pools.crew import Crew

ROOT = Path(__file__).parent.parent


class Counter:
    """A watcher that refills the pool as calls end."""

    def __init__(self, total: int, task: str) -> None:
        self.left = total
        self.open = 0
        self.task = task
        self.done = asyncio.get_running_loop().create_future()
        self.pool = None
        self.is_due = False
        self.number = 0

    def refill(self) -> None:
        self.is_due = False
        count = min(self.pool.free(), self.left)
        batch = []
        for _ in range(count):
            self.number += 1
            message = Message(id=f"id-{self.number}", task=self.task, args=encode([[], {}]))
            batch.append(Delivery(message, encode(message), self.number, 1, 0.0))
        self.left -= count
        self.open += count
        self.pool.run(batch)

    def ended(self, delivery, outcome) -> None:
        assert isinstance(outcome, Done), outcome
        self.open -= 1
        if not self.open and not self.left:
            self.done.set_result(None)
        elif self.left and not self.is_due:
            self.is_due = True
            asyncio.get_running_loop().call_soon(self.refill)

    def emitted(self, id, events) -> None: ...
    def asked(self, ask, reply) -> None: ...
    def blocked(self, task, id, seconds, stack) -> None:
        print("blocked", task, id, seconds, stack)


async def measure(crew: Crew, spec: PoolSpec, task: str, total: int) -> None:
    counter = Counter(total, task)
    pool = crew.pool(spec, counter)
    counter.pool = pool
    await pool.ready(20)
    begun, cpu = time.perf_counter(), time.process_time()
    counter.refill()
    await counter.done
    wall, cpu = time.perf_counter() - begun, time.process_time() - cpu
    print(f"{spec.kind:9} {spec.children}x{spec.concurrency:<5} {total / wall:9,.0f} calls/s   "
          f"supervisor {cpu / total * 1e6:5.1f} µs a call")  # fmt: skip
    await pool.stop(1)


async def main() -> None:
    crew = Crew("crew_app:app", str(ROOT / "tests" / "conformance"))
    await crew.start()
    kinds = sys.argv[1:] or ["asyncio", "threads", "prefork", "solo", "gevent", "eventlet"]
    for kind in kinds:
        task = "nothing_async" if kind == "asyncio" else "nothing"
        await measure(crew, PoolSpec.of(kind), task, 20_000)
    await crew.stop()


if __name__ == "__main__":
    import uvloop

    uvloop.run(main())
