"""Sends the ids of `bench ids` in a process of its own, and fetches all results, so that its memory can be told.

python -m bench.ids_sender BROKER COUNT (map | SIZE)      SIZE 0: found while it sends
"""

import json
import sys
import time
from itertools import chain

from bench.ids_app import app_for
from bench.processes import largest_rss

PENDING = 10_000
"""Of tasks with one id each: a million in the engine at once would be another experiment."""


def main(broker: str, count: int, way: str) -> None:
    app = app_for(broker)
    task = app.tasks["crunch"]
    app.open()
    began = time.perf_counter()
    if way == "map":
        group = task.map(range(count), max_pending=PENDING, progress=False)
        fetched = sum(1 for _ in group)
    else:
        group = task.chunks(range(count), int(way) or None, progress=False)
        fetched = sum(1 for _ in chain.from_iterable(group))
    seconds = time.perf_counter() - began
    app.close()
    told = {"seconds": seconds, "fetched": fetched, "messages": len(group), "rss_mb": largest_rss()}
    print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
