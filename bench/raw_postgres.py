"""What PostgreSQL itself gives: take and settle with results, in batches, by a loop of two bare statements.

The least SQL that keeps the same promises: the order (priority, age), `SKIP LOCKED`, a holder and a token that fences,
a result under an id. Each statement is a transaction of its own and both are prepared. No leases, delays, cancelling,
watching, times to live. Beside it, in the same run and in turns, the loop through the engine.
"""

import asyncio
import statistics
import sys
import time
import uuid
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import asyncpg

from bench.private_postgres import private_postgres
from bench.through_engine import BATCH, BODY, RESULT, through_engine
from polypool.brokers.open import open_engine
from polypool.core.message import Message

T = TypeVar("T")

TURNS = 5

SCHEMA = """
CREATE TABLE raw_task (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id text COLLATE "C" NOT NULL UNIQUE, priority integer NOT NULL,
    state text NOT NULL, worker text, token bigint NOT NULL, body bytea, result bytea, ended_at float8
) WITH (fillfactor = 70);
CREATE INDEX raw_queued ON raw_task (priority DESC, seq) WHERE state = 'queued';
"""
PUT = """
INSERT INTO raw_task (id, priority, state, token, body)
SELECT id, 0, 'queued', 0, $2::bytea FROM unnest($1::text[]) AS given (id)
"""
TAKE = f"""
UPDATE raw_task SET state = 'running', worker = 'raw', token = token + 1
WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM raw_task WHERE state = 'queued' ORDER BY priority DESC, seq LIMIT {BATCH} FOR UPDATE SKIP LOCKED))
RETURNING seq, id, token, body
"""
SETTLE = """
UPDATE raw_task SET state = 'succeeded', result = given.result, ended_at = $4, worker = NULL
FROM unnest($1::bigint[], $2::bigint[], $3::bytea[]) AS given (seq, token, result)
WHERE raw_task.seq = given.seq AND raw_task.token = given.token AND raw_task.state = 'running'
"""


async def raw(url: str, count: int) -> float:
    """Tasks a second, from the first take to the last settle."""
    connection = await asyncpg.connect(url, server_settings={"enable_seqscan": "off", "jit": "off"})
    try:
        await connection.execute("DROP TABLE IF EXISTS raw_task")
        await connection.execute(SCHEMA)
        for _ in range(0, count, 1000):
            await connection.execute(PUT, [uuid.uuid4().hex for _ in range(1000)], BODY)
        await connection.execute("VACUUM ANALYZE raw_task")
        take, settle = await connection.prepare(TAKE), await connection.prepare(SETTLE)
        start, taken_in_all = time.perf_counter(), 0
        while taken := await take.fetch():
            columns = [row[0] for row in taken], [row[2] for row in taken], [RESULT] * len(taken)
            await settle.fetch(*columns, time.time())
            taken_in_all += len(taken)
        took = time.perf_counter() - start
        settled = await connection.fetchval("SELECT count(*) FROM raw_task WHERE state = 'succeeded'")
    finally:
        await connection.close()
    if not count == settled == taken_in_all:
        raise AssertionError(f"{settled} of {count} tasks were settled")
    return count / took


async def singly(url: str, count: int) -> float:
    """Messages a second put one after the other, each durable before the next."""
    engine = open_engine(f"{url}?schema=bench_{uuid.uuid4().hex[:8]}")
    await engine.broker.open()
    start = time.perf_counter()
    for _ in range(count):
        await engine.broker.put([Message(uuid.uuid4().hex, "bench.nothing", BODY, sent_at=time.time())])
    took = time.perf_counter() - start
    await engine.broker.close()
    return count / took


def measure(count: int, turns: int = TURNS) -> None:
    """Print both, on a server of their own."""
    bare, drained, puts, ratios = list[float](), list[float](), list[float](), list[float]()
    with private_postgres() as url:
        for _ in range(turns):
            bare.append(_on_its_loop(lambda: raw(url, count)))
            put, drain = _on_its_loop(lambda: through_engine(f"{url}?schema=bench_{uuid.uuid4().hex[:8]}", count))
            puts.append(put)
            drained.append(drain)
            ratios.append(drain / bare[-1])
        one_by_one = _on_its_loop(lambda: singly(url, 2000))
    print(f"raw SKIP LOCKED loop, batches of {BATCH}: {statistics.median(bare):,.0f} tasks/s")
    print(
        f"polypool's engine, batches of {BATCH}: {statistics.median(drained):,.0f} tasks/s, "
        f"{statistics.median(ratios):.0%} of the raw loop ({min(ratios):.0%} to {max(ratios):.0%})"
    )
    print(f"put in batches of 1,000: {statistics.median(puts):,.0f}/s; one by one: {one_by_one:,.0f}/s")


def _on_its_loop(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """As in a worker: uvloop where it is installed."""
    try:
        from uvloop import new_event_loop
    except ImportError:
        new_event_loop = None
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(work())


if __name__ == "__main__":
    measure(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
