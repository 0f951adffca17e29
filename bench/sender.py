"""A sender of its own process, so that its memory can be told: `python -m bench.sender plain|chord COUNT`.

Sends to the engine that POLYPOOL_BROKER names, waits for the end, and prints as JSON when it began, when all was sent,
what the chord's body returned, and the most memory that it had.
"""

import json
import sys
import time

from bench.processes import largest_rss
from bench.tasks import app_of
from polypool import chord

WITHIN_S = 580.0


def main(form: str, count: int) -> None:
    app = app_of("asyncio")
    noop, body = app.tasks["noop"], app.tasks["count"]
    began = time.time()
    if form == "chord":
        result = chord((noop.s() for _ in range(count)), body.s()).delay()
        sent, value = time.time(), result.get(timeout=WITHIN_S)
    else:
        group = noop.starmap((() for _ in range(count)), progress=False)
        sent, value = time.time(), count
        group[-1].get(timeout=WITHIN_S)
    print(json.dumps({"began": began, "sent": sent, "value": value, "peak_mb": largest_rss()}))
    app.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
