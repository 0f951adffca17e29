"""Patience: how a loop waits between tries while its engine is away."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from polypool.core.error import EngineError, EngineUnreachable

T = TypeVar("T")
FIRST, LONGEST = 0.1, 5.0
"""Seconds. Short enough to be back soon after a restart of the engine, long enough not to hammer it."""

logger = logging.getLogger("polypool.worker")


async def until_reached(what: str, attempt: Callable[[], Awaitable[T]]) -> T:
    """Try until the engine answers: says once that it waits and once that it goes on. Other errors pass through."""
    delay = FIRST
    while True:
        try:
            done = await attempt()
        except EngineError as error:
            if delay == FIRST:
                logger.warning("cannot %s: %s; trying again until it works", what, error)
            await asyncio.sleep(delay)
            delay = min(delay * 2, LONGEST)
            continue
        if delay != FIRST:
            logger.info("can %s again", what)
        return done


async def until_open(what: str, attempt: Callable[[], Awaitable[T]]) -> T:
    """The same for the first connection: only an engine that cannot be reached is worth waiting for."""
    delay = FIRST
    while True:
        try:
            return await attempt()
        except EngineUnreachable as error:
            if delay == FIRST:
                logger.warning("cannot %s: %s; trying again until it works (Ctrl-C ends)", what, error)
            await asyncio.sleep(delay)
            delay = min(delay * 2, LONGEST)
