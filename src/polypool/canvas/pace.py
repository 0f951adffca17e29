"""Pace: how many items the next chunk is to have so that it runs for about half a second. Pure: it is told what ran.

What a chunk costs is taken to be its number of items times a mean cost, which is measured as the ratio of seconds to
items over the latest chunks, older ones counting less (a ratio of sums: few large chunks then outweigh many small
probes, and one slow item among many moves it little). From that mean it reaches at most GROWTH times as far as
anything that was seen to run. Towards the end chunks shrink as in factoring, a guided self-scheduling (Flynn Hummel,
Schonberg, Flynn: Factoring, CACM 35(8), 1992): each takes a share of what is left, so that all workers end together.
"""

import math
from collections import deque

TARGET_S = 0.5
GROWTH = 8
"""The next chunk has at most so many times the items of the largest of the latest that ended."""
DECAY = 0.85
"""What a chunk counts for, each time that another one ended after it."""
LATEST = 2_000
"""Chunks that concurrency is read from; of which those count that ended within LATEST_S."""
LATEST_S = 20.0
RUNS_UNREAD = 16
"""Concurrency is read again after this part of those has changed: reading it takes time."""
AHEAD_S = 5.0
"""Seconds of work that are sent ahead: enough that nobody idles while the sender learns, so little that it can."""
FEWEST_AHEAD, MOST_AHEAD = 8, 50_000
MODEST = 30
"""Items a chunk where nothing can be measured: small enough for items that take a second each."""
GIVES_UP_S = 3.0
"""After so long without a sign of a worker it is not waited for."""
TAIL_SHARE = 0.5
"""Of what is left, as an equal part for each of those that run at once; so much of that part is the next chunk."""
SHORTEST_SHARE = 0.1
"""No chunk at the end is planned shorter than this share of the target: a message has a price."""
MOST_BYTES = 4 * 1024 * 1024
"""Of a chunk's arguments and of its results: a quarter of what a message may have, as items differ."""
FAILURES = 16
"""Chunks that failed, with none that did not: nothing is going to be learned."""


class Pace:
    """The size of the next chunk, and how many may be under way. `total` is how many items there are, if known."""

    def __init__(self, total: int | None = None, target_s: float = TARGET_S) -> None:
        self._target_s = target_s
        self._total = total
        self._taken = 0
        self._seconds = self._items = 0.0
        """Decayed sums over the chunks that ended."""
        self._slowest = 0.0
        """Seconds an item takes at the least, as one that runs shows; 0 while chunks end."""
        self._sizes: deque[int] = deque(maxlen=64)
        self._runs: deque[tuple[float, float]] = deque(maxlen=LATEST)
        """When each of the latest began and ended, in Unix seconds of whoever ran it."""
        self._sent_bytes = self._result_bytes = 0.0
        """Of an item."""
        self._concurrency = 1.0
        self._unread = 0
        """Runs since concurrency was read."""
        self._widened = FEWEST_AHEAD
        self._failures = 0
        self.waits = True
        """Whether to wait for what is under way. False: there is nobody to learn from."""

    @property
    def size(self) -> int:
        """Items of the next chunk; at least one."""
        return max(1, min(self._fair(), self._by_bytes()))

    @property
    def ahead(self) -> int:
        """How many chunks may be under way at once."""
        if not self._is_settled:
            return self._widened
        chunk_s = max(self._target_s, self._cost)
        wanted = math.ceil(self.concurrency * max(AHEAD_S / chunk_s, 2.0))
        return max(self._widened, min(wanted, MOST_AHEAD))

    @property
    def concurrency(self) -> float:
        """How many chunks ran at once of late: their seconds over the seconds that passed. At least 1."""
        if self._unread > len(self._runs) // RUNS_UNREAD:
            self._concurrency, self._unread = self._measured_concurrency(), 0
        return self._concurrency

    def took(self, items: int, size_bytes: int) -> None:
        """So many more items were sent, in so many bytes."""
        self._taken += items
        self._sent_bytes = _heavier(self._sent_bytes, size_bytes / items)

    def ended(self, items: int, started_at: float, wall_s: float, result_bytes: int = 0) -> None:
        """A chunk did what it was to do."""
        self._seconds = DECAY * self._seconds + max(wall_s, 0.0)
        self._items = DECAY * self._items + items
        self._slowest = 0.0
        self._sizes.append(items)
        self._runs.append((started_at, started_at + max(wall_s, 0.0)))
        self._result_bytes = _heavier(self._result_bytes, result_bytes / items)
        self._unread += 1
        self.waits = True

    def failed(self) -> None:
        """A chunk ended otherwise: nobody knows how far it came."""
        self._failures += 1

    def silent(self, for_s: float, running: int, queued: int, oldest_items: int = 1) -> None:
        """Nothing ended for so long, while so many run and so many wait to be run. `oldest_items`: of one that runs."""
        if running:
            self.waits = True
            self._slowest = max(self._slowest, for_s / oldest_items)
            if not queued:  # whoever runs them had room for all: there may be more
                self._widened = min(2 * self._widened, MOST_AHEAD)
        elif for_s >= GIVES_UP_S:
            self.waits = False

    def _measured_concurrency(self) -> float:
        last = max(end for _, end in self._runs)
        recent = [(start, end) for start, end in self._runs if end >= last - LATEST_S]
        passed = last - min(start for start, _ in recent)
        return max(1.0, sum(end - start for start, end in recent) / passed) if passed > 0 else 1.0

    @property
    def _cost(self) -> float:
        """Seconds an item; 0 where it is too little to be measured, or nothing was."""
        return max(self._seconds / self._items if self._items else 0.0, self._slowest)

    @property
    def _is_settled(self) -> bool:
        """Whether the size is what the target asks for, and no longer what growth allows."""
        return bool(self._sizes) and self._cost > 0 and self._target_s / self._cost <= GROWTH * max(self._sizes)

    def _by_time(self) -> int:
        if not self._sizes and not self._slowest:
            return MODEST if not self.waits or self._failures >= FAILURES else 1
        allowed = GROWTH * max(self._sizes, default=1)
        return allowed if self._cost <= 0 else max(1, min(round(self._target_s / self._cost), allowed))

    def _fair(self) -> int:
        """By time, and no more than leaves something for the others at the end."""
        size = self._by_time()
        left = 0 if self._total is None else self._total - self._taken
        if left <= 0 or not self._sizes:
            return size
        share = math.ceil(TAIL_SHARE * left / self.concurrency)
        return min(size, max(share, math.ceil(SHORTEST_SHARE * size)))

    def _by_bytes(self) -> int:
        each = max(self._sent_bytes, self._result_bytes)
        return max(1, int(MOST_BYTES / each)) if each > 0 else MOST_BYTES


def _heavier(known: float, seen: float) -> float:
    """What to reckon with: more at once, less by and by."""
    return seen if seen > known else DECAY * known + (1 - DECAY) * seen
