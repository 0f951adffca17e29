"""What the ports of an engine give by themselves, without a worker: put, take and settle in one process."""

import os
import time
import uuid

from polypool.brokers.open import open_engine
from polypool.core.decide import decide
from polypool.core.message import Lane, Message
from polypool.core.outcome import Done
from polypool.core.report import Heartbeat

BATCH = 100
BODY = os.urandom(200)
RESULT = b"\x93\xc0\xc0\xcbA\xda\xbf"


async def through_engine(url: str, count: int) -> tuple[float, float]:
    """Tasks a second put, and taken and settled, through the port."""
    engine = open_engine(url)
    await engine.broker.open()
    await engine.broker.beat(Heartbeat("bench", "here", 1, 1.0, 60.0))
    messages = [Message(uuid.uuid4().hex, "bench.nothing", BODY, sent_at=time.time()) for _ in range(count)]
    start = time.perf_counter()
    for at in range(0, count, 1000):
        await engine.broker.put(messages[at : at + 1000])
    put = count / (time.perf_counter() - start)
    start, settled = time.perf_counter(), 0
    lanes = [Lane("default", "threads")]
    while taken := await engine.broker.take(lanes, BATCH, "bench", 0):
        batch = [decide(delivery, Done(RESULT), time.time(), lambda: 0.5) for delivery in taken]
        settled += sum(await engine.broker.settle(batch))
    took = time.perf_counter() - start
    await engine.broker.close()
    if settled != count:
        raise AssertionError(f"{settled} of {count} tasks were settled")
    return put, count / took
