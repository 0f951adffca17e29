"""Celery's side of bench/scan: the same chain against the same provider, in a gevent pool.

`python -m bench.peers.celery_scan USERS JOIN_PER_SECOND SECONDS` is its users: each sends a chain, and another one when
it has ended, of which Redis tells; there is no web API and there are no events between, which is in Celery's favour.

A 429 is tried again after the time that the provider says, as often as it takes.
"""

import http.client
import json
import os
import random
import sys
import time
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import redis
from celery import Celery, chain

from bench.scan.asking import BODIES
from bench.scan.plan import STAGES

ENDED = "bench:ended"
HEADERS = {"authorization": "Bearer bench", "content-type": "application/json"}
url = os.environ["BENCH_REDIS"]
scale = float(os.environ.get("BENCH_SCALE", "1"))
app = Celery("bench", broker=os.environ["BENCH_AMQP"], backend=f"{url}/1")
app.conf.update(redis_max_connections=3000, broker_connection_retry_on_startup=True)


@cache
def server() -> Any:
    return redis.Redis.from_url(f"{url}/2", max_connections=3000)


def ask(task: Any, stage: str, user: int) -> int:
    address = urlsplit(os.environ["BENCH_PROVIDER"])
    connection = http.client.HTTPConnection(address.hostname or "", address.port)
    try:
        connection.request("POST", f"{address.path}/chat/completions", BODIES[stage], HEADERS)
        response = connection.getresponse()
        body = response.read()
    except OSError as error:
        raise task.retry(exc=error, countdown=1 / scale, max_retries=None) from error
    finally:
        connection.close()
    if response.status == 429:
        raise task.retry(countdown=int(response.headers["retry-after-ms"]) / 1e3, max_retries=None)
    json.loads(body)
    return user


def stay(stage: str, user: int) -> int:
    time.sleep(STAGES[stage].scaled(scale).draw(random.Random()))
    return user


@app.task(name="vision", bind=True)
def vision(self: Any, user: int) -> int:
    return ask(self, "vision", user)


@app.task(name="rule")
def rule(user: int) -> int:
    return stay("rule", user)


@app.task(name="answer", bind=True)
def answer(self: Any, user: int) -> int:
    return ask(self, "answer", user)


@app.task(name="reward")
def reward(user: int) -> int:
    stay("reward", user)
    server().lpush(ENDED, user)
    return user


def crowd(users: int, per_second: float, seconds: float) -> None:
    """Writes a line for each chain, as bench/scan/load.py does; it sees no first event."""
    sent: dict[int, float] = {}

    def send(user: int) -> None:
        sent[user] = time.monotonic()
        chain(vision.s(user), rule.s(), answer.s(), reward.s()).apply_async()

    began = time.monotonic()
    while (now := time.monotonic()) < began + seconds:
        if len(sent) < users and now >= began + len(sent) / per_second:
            send(len(sent))
        waits = 1.0 if len(sent) == users else max(began + len(sent) / per_second - now, 0.001)
        popped = server().brpop(ENDED, timeout=min(waits, 1.0))
        if popped is not None:
            user = int(popped[1])
            print(f"{sent[user]:.4f}\t0\t{time.monotonic():.4f}\t", flush=True)
            send(user)


if __name__ == "__main__":
    crowd(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]))
