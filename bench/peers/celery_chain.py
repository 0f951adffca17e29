"""Celery's side of the chains: the same four waiting steps.

`python -m bench.peers.celery_chain USERS SECONDS WARM STEP` sends them and tells as JSON how they fared.

The chain's last step says that it ended by a list in Redis, for which the sender waits: nothing is polled.
"""

import json
import os
import sys
import time
from functools import cache
from typing import Any

import redis
from celery import Celery, chain

ENDED = "bench:ended"
url = os.environ["BENCH_REDIS"]
app = Celery("bench", broker=os.environ["BENCH_AMQP"], backend=f"{url}/1")
app.conf.update(redis_max_connections=2000, broker_connection_retry_on_startup=True)


@cache
def server() -> Any:
    return redis.Redis.from_url(f"{url}/2", max_connections=2000)


@app.task(name="wait")
def wait(user: int, seconds: float) -> int:
    time.sleep(seconds)
    return user


@app.task(name="wait_last")
def wait_last(user: int, seconds: float) -> int:
    time.sleep(seconds)
    server().lpush(ENDED, user)
    return user


def crowd(users: int, seconds: float, warm: float, step: float) -> dict[str, Any]:
    """So many chains at once, for each that ends another one; those that end after `warm` seconds count."""
    server().delete(ENDED)
    sent: dict[int, float] = {}

    def send(user: int) -> None:
        sent[user] = time.perf_counter()
        chain(wait.s(user, step), wait.s(step), wait.s(step), wait_last.s(step)).apply_async()

    began = time.perf_counter()
    for user in range(users):
        time.sleep(max(began + warm / 2 * user / users - time.perf_counter(), 0.0))
        send(user)
    took: list[float] = []
    while time.perf_counter() - began < seconds:
        popped = server().brpop(ENDED, timeout=1)
        if popped is None:
            continue
        now, user = time.perf_counter(), int(popped[1])
        if now - began > warm:
            took.append(now - sent[user])
        send(user)
    return {"chains": len(took), "seconds": time.perf_counter() - began - warm, "took": sorted(took)}


if __name__ == "__main__":
    print(json.dumps(crowd(int(sys.argv[1]), *map(float, sys.argv[2:5]))))
