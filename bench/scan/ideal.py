"""The ideal: what the same users would see of a queue that costs nothing, before the same provider. Pure.

A chain's way is simulated, event by event: its calls pass a gate at the provider's pace, first come, first served, and
every stage takes what is drawn for it. So waiting and luck are in it, polypool is not.
"""

import heapq
import itertools
import random
from dataclasses import dataclass

from bench.scan.figures import Spread
from bench.scan.plan import CALLS, REQUESTS_A_CHAIN, STAGES, Plan

SEED = 5
LONG = 20.0
"""Times a chain's stay that are simulated, at the least, so that luck evens out."""


@dataclass(frozen=True)
class Ideal:
    """Chains a real second, and real seconds from sending to the answer."""

    rate: float
    stay: Spread


def ideal(plan: Plan) -> Ideal:
    """As long as the plan says or longer, warm-up left out as there."""
    chance = random.Random(SEED)
    gap = 1 / (plan.limit * REQUESTS_A_CHAIN)
    stages = [(name in CALLS, duration.scaled(plan.scale)) for name, duration in STAGES.items()]
    counted_s = max(plan.seconds, LONG * plan.queue_s)
    end = plan.warm_s + counted_s
    tie = itertools.count()
    joined = [plan.joining_s * user / plan.users for user in range(plan.users)]
    arrivals = [(at, next(tie), 0, at) for at in joined]
    heapq.heapify(arrivals)
    gate_opens, stays = 0.0, []
    while arrivals and arrivals[0][0] < end:
        now, _, number, sent = heapq.heappop(arrivals)
        if number == len(stages):
            if now >= plan.warm_s:
                stays.append(now - sent)
            heapq.heappush(arrivals, (now, next(tie), 0, now))
            continue
        asks, duration = stages[number]
        begins = max(now, gate_opens) if asks else now
        if asks:
            gate_opens = begins + gap
        heapq.heappush(arrivals, (begins + duration.draw(chance), next(tie), number + 1, sent))
    return Ideal(len(stays) / counted_s, Spread.of(stays))
