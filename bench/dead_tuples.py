"""What a load that goes on for minutes leaves behind in PostgreSQL: dead rows, bytes of tables and indexes, vacuums.

`python -m bench.dead_tuples [URL] [SECONDS]`: tasks are put, taken and settled with results at full speed all the
time, as by a worker that beats; endings are forgotten after five seconds, so that the purge has its share. Without a
URL on a server of its own, whose autovacuum is as installed. The tables are made in a schema of their own, which is
dropped in the end.
"""

import asyncio
import sys
import time
import uuid
from contextlib import ExitStack
from dataclasses import dataclass

import asyncpg

from bench.private_postgres import private_postgres
from polypool.brokers.open import open_engine
from polypool.core.decide import decide
from polypool.core.message import Lane, Message, Policy
from polypool.core.outcome import Done
from polypool.core.port import Engine
from polypool.core.report import Heartbeat

LANE = Lane("default", "threads")
BATCH = 200
STANDING = 20_000
"""Messages that wait behind the others all the time."""
LOOKS = 12
RESULT_TTL = 5.0
RESULT = b"\x93\xc0\xc0\xcbA\xda\xbf"
BODY = bytes(200)

LOOK = """
SELECT relname, n_live_tup, n_dead_tup, pg_relation_size(relid), pg_indexes_size(relid),
       vacuum_count + autovacuum_count
FROM pg_stat_user_tables WHERE schemaname = $1 AND relname IN ('live', 'task', 'ending') ORDER BY relname
"""


@dataclass(frozen=True)
class Look:
    """One table at one moment; sizes in bytes."""

    at: float
    done: int
    table: str
    live: int
    dead: int
    size: int
    indexes: int
    vacuums: int


class Load:
    """One sender and one worker."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.done = 0
        self._is_over = False

    async def run(self) -> None:
        await self._beat()
        for _ in range(0, STANDING, 1000):
            await self._put(1000)
        await asyncio.gather(self._send(), self._work(), self._keep())

    def end(self) -> None:
        self._is_over = True

    async def _send(self) -> None:
        sent = 0
        while not self._is_over:
            if sent < self.done + 2 * BATCH:
                await self._put(BATCH)
                sent += BATCH
            else:
                await asyncio.sleep(0.001)

    async def _work(self) -> None:
        while not self._is_over:
            taken = await self._engine.broker.take([LANE], BATCH, "bench", 1.0)
            batch = [decide(delivery, Done(RESULT), time.time(), lambda: 0.5) for delivery in taken]
            self.done += sum(await self._engine.broker.settle(batch))

    async def _keep(self) -> None:
        while not self._is_over:
            await self._beat()
            await asyncio.sleep(2.0)

    async def _beat(self) -> None:
        await self._engine.broker.beat(Heartbeat("bench", "here", 1, 1.0, 60.0))

    async def _put(self, count: int) -> None:
        policy = Policy(result_ttl=RESULT_TTL)
        now = time.time()
        messages = [Message(uuid.uuid4().hex, "bench.nothing", BODY, sent_at=now, policy=policy) for _ in range(count)]
        await self._engine.broker.put(messages)


async def watch(url: str, seconds: float) -> list[Look]:
    """Load it for so long, and look at the tables now and then."""
    schema = f"bench_{uuid.uuid4().hex[:8]}"
    engine = open_engine(f"{url}{'&' if '?' in url else '?'}schema={schema}")
    await engine.broker.open()
    connection = await asyncpg.connect(url.partition("?")[0])
    load = Load(engine)
    working, began, looks = asyncio.create_task(load.run()), time.monotonic(), list[Look]()
    try:
        for number in range(LOOKS):
            await asyncio.sleep(max(began + (number + 1) * seconds / LOOKS - time.monotonic(), 0))
            rows = await connection.fetch(LOOK, schema)
            looks += [Look(time.monotonic() - began, load.done, *row) for row in rows]
        load.end()
        await working
    finally:
        await engine.broker.close()
        await connection.execute(f"DROP SCHEMA {schema} CASCADE")
        await connection.close()
    return looks


def show(looks: list[Look]) -> None:
    print(f"{'s':>4} {'tasks':>9}  {'table':<7}{'rows':>8}{'dead':>8}{'table MB':>10}{'index MB':>10}{'vacuums':>9}")
    for look in looks:
        numbers = f"{look.size / 1e6:>10.1f}{look.indexes / 1e6:>10.1f}{look.vacuums:>9}"
        print(f"{look.at:>4.0f} {look.done:>9,}  {look.table:<7}{look.live:>8,}{look.dead:>8,}{numbers}")
    for table in ("live", "task", "ending"):
        own = [look for look in looks if look.table == table]
        half, last = own[len(own) // 2 - 1], own[-1]
        print(
            f"{table}: at most {max(look.dead for look in own):,} dead rows; {half.size / 1e6:.1f} + "
            f"{half.indexes / 1e6:.1f} MB at half time, {last.size / 1e6:.1f} + {last.indexes / 1e6:.1f} MB at the end"
        )


def main(arguments: list[str]) -> None:
    seconds = next((float(word) for word in arguments if "://" not in word), 60.0)
    with ExitStack() as around:
        url = next((word for word in arguments if "://" in word), None) or around.enter_context(private_postgres())
        show(asyncio.run(watch(url, seconds)))


if __name__ == "__main__":
    main(sys.argv[1:])
