"""Celery's side: the same no-op task with the same marks. `python -m bench.peers.celery_noop COUNT` sends it."""

import os
import sys

from celery import Celery

from bench.marks import Marks

marks = Marks()
url = os.environ["BENCH_REDIS"]
stores_results = os.environ["BENCH_RESULTS"] == "stored"

app = Celery("bench", broker=f"{url}/0", backend=f"{url}/1" if stores_results else None)
app.conf.update(
    task_ignore_result=not stores_results,
    worker_prefetch_multiplier=1000,  # Celery's fastest: its default of 4 waits for Redis between tasks
    broker_connection_retry_on_startup=True,
)


@app.task(name="noop")
def noop() -> None:
    marks.ended()


def send(count: int) -> None:
    with app.producer_or_acquire() as producer:
        for _ in range(count):
            noop.apply_async(producer=producer)


if __name__ == "__main__":
    send(int(sys.argv[1]))
