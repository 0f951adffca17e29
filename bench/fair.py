"""Fairness: one tenant's few tasks beside another's many, and short tasks beside long ones, in one lane.

python -m bench fair redis     one engine; the default: sqlite, redis and postgres
"""

import random
import time
from contextlib import closing

from bench.anywhere import another, anywhere
from bench.fair_app import LONG_S, SHARED_S, SHORT_S, app_for
from bench.reading import Extent, Reading, at_most
from bench.roundtrip import quantile
from bench.stand import Stand

ENGINES = ("sqlite", "redis", "postgres")
SLOTS = 4
FEW = 10
LATER = 2.0
"""Times as long as alone."""
TURN_S = 3.0
"""What short tasks may wait among long ones at most: one of those that runs already, and the short ones before it. In
one queue, first come, first served, p95 is 17.9 to 19.3 s: what nearly all of the long ones take."""
BUSY = 2 * SLOTS
"""Tasks of the other tenant that have ended when the few are sent: the worker is at it."""
SEED = 1
WITHIN_S = 300.0


def measure(extent: Extent) -> list[Reading]:
    waiting, repeats = extent.pick(100_000, 200), min(extent.repeats, 3)
    readings: list[Reading] = []
    for engine in (extent.engine,) if extent.engine else ENGINES:
        with anywhere(engine) as url:
            alone, among, shorts = [], [], []
            for _ in range(repeats):
                alone.append(few(another(url), 0))
                among.append(few(another(url), waiting))
                shorts.append(short(another(url), extent))
        ratios = [other / one for one, other in zip(alone, among, strict=True)]
        some, lane = f"{FEW} tasks of {SHARED_S:g} s", f"{SLOTS} slots"
        readings += [
            Reading(f"{engine}: {some} on {lane}, alone", "s", alone),
            Reading(f"  the same behind {waiting:,} of another tenant's", "s", among),
            Reading("  ratio", "×", ratios, at_most(LATER)),
            Reading(
                f"  tasks of {SHORT_S:g} s among those of {LONG_S:g} s, p95 of their wait", "s", shorts, at_most(TURN_S)
            ),
        ]
    return readings


def few(broker: str, waiting: int) -> float:
    """Seconds from sending one tenant's tasks to their last end, while a worker is at another tenant's."""
    with Stand(broker) as stand, closing(app_for(broker)) as app:
        work = app.tasks["work"]
        work.starmap((("many",) for _ in range(waiting)), progress=False)
        worker = stand.worker("bench.fair_app:app", "--pool", f"asyncio={SLOTS}")
        worker.wait_ready()
        if waiting:
            stand.wait_marked(BUSY, WITHIN_S, worker)
        else:
            work.starmap([("nobody",)] * SLOTS, progress=False).get(timeout=WITHIN_S)
        began = time.perf_counter()
        work.starmap([("few",)] * FEW, progress=False).get(timeout=WITHIN_S)
        return time.perf_counter() - began


def short(broker: str, extent: Extent) -> float:
    """The p95 of the seconds until short tasks begin, all of them sent at once with long ones among them."""
    names = ["long"] * extent.pick(40, 8) + ["short"] * extent.pick(400, 80)
    random.Random(SEED).shuffle(names)
    with Stand(broker) as stand, closing(app_for(broker)) as app:
        stand.worker("bench.fair_app:app", "--pool", f"asyncio={SLOTS}").wait_ready()
        sent_at = time.time()
        began = app.send_many([(app.tasks[name], ()) for name in names]).get(timeout=WITHIN_S)
        return quantile(sorted(at - sent_at for at in began if at is not None), 0.95)
