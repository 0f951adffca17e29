"""Turn: for how long one call may keep an event loop or a hub to itself."""

import asyncio
import time

TURN = 0.005
"""Seconds; then the other calls there get their turn."""


def turn(turn_at: float) -> float:
    """Let the hub turn if it is time; when it is the next time."""
    if time.perf_counter() < turn_at:
        return turn_at
    time.sleep(0)  # patched: lets the hub turn, which is also how such a call is interrupted
    return time.perf_counter() + TURN


async def aturn(turn_at: float) -> float:
    """The same for an event loop."""
    if time.perf_counter() < turn_at:
        return turn_at
    await asyncio.sleep(0)
    return time.perf_counter() + TURN
