"""What the demo reads off its processes while they work: the worker's memory, the provider's counters."""

import asyncio
import time
from dataclasses import dataclass, field

import httpx
import psutil

EVERY_S = 1.0


@dataclass(frozen=True)
class Reading:
    """What the provider had let in by a moment (time.monotonic()), and what that had cost."""

    at: float
    requests: int
    tokens: int


@dataclass(frozen=True)
class Allowance:
    """What the provider lets in each second."""

    requests: float
    tokens: float

    def share_used(self, readings: list[Reading], counted_from: float, counted_until: float) -> float | None:
        """Of the limit that was used most, between two moments. None where that was not read twice."""
        within = [reading for reading in readings if counted_from <= reading.at <= counted_until]
        if len(within) < 2:
            return None
        first, last = within[0], within[-1]
        seconds = last.at - first.at
        return max(
            (last.requests - first.requests) / seconds / self.requests,
            (last.tokens - first.tokens) / seconds / self.tokens,
        )


@dataclass
class Gauges:
    """The latest readings, and the highest of memory."""

    worker_pid: int
    provider: httpx.AsyncClient
    memory_bytes: int = 0
    peak_memory_bytes: int = 0
    processes: int = 0
    requests: int = 0
    refused: int = 0
    in_flight: int = 0
    peak_in_flight: int = 0
    readings: list[Reading] = field(default_factory=list)

    async def keep_reading(self) -> None:
        while True:
            await self.read()
            await asyncio.sleep(EVERY_S)

    async def read(self) -> None:
        self.processes, self.memory_bytes = await asyncio.to_thread(memory_of_tree, self.worker_pid)
        self.peak_memory_bytes = max(self.peak_memory_bytes, self.memory_bytes)
        counted = (await self.provider.get("/stats")).json()
        self.readings.append(Reading(time.monotonic(), counted["requests"], counted["tokens"]))
        self.requests, self.refused = counted["requests"], counted["refused"]
        self.in_flight, self.peak_in_flight = counted["in_flight"], counted["peak_in_flight"]


def memory_of_tree(pid: int) -> tuple[int, int]:
    """How many processes a tree has, and their memory in bytes; what they share is counted once.

    That is PSS on Linux. Elsewhere it is what is unique to each (USS), a little less.
    """
    total = count = 0
    try:
        root = psutil.Process(pid)
        tree = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0, 0
    for process in tree:
        try:
            memory = process.memory_full_info()
        except psutil.Error:  # ended meanwhile, or another user's
            continue
        total += getattr(memory, "pss", memory.uss)
        count += 1
    return count, total
