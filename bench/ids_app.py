"""The task of `bench ids`: a piece of CPU for each id. `BENCH_IDS_LOOPS` in the environment says how much."""

import os

from bench.tasks import burn
from polypool import Polypool

LOOPS = "BENCH_IDS_LOOPS"

_loops = int(os.environ.get(LOOPS, "0"))


def crunch(id: int) -> int:
    return burn(_loops) ^ id


def app_for(broker: str | None = None) -> Polypool:
    app = Polypool("bench-ids", broker=broker)
    app.task(pool="prefork", name="crunch")(crunch)
    return app


ON_PREFORK = app_for()
