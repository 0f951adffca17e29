"""Greenlet rules: asyncio in a process of greenlets fails at once and says why, instead of hanging.

There is one asyncio loop per thread at a time, and all greenlets share one thread: the second `asyncio.run` finds
the first one's loop running, and while one loop waits in its selector no greenlet of the thread may get a turn.
"""

import asyncio
import sys
from typing import Any

from polypool import native
from polypool.core.error import AsyncioInGreenlet


def refuse_asyncio(kind: str, main_thread: int) -> None:
    """Make event loops unavailable in the hub's thread; in other real threads they work as ever."""

    def refuse() -> None:
        if native.thread_id() == main_thread:
            raise AsyncioInGreenlet(
                f"asyncio cannot run inside a {kind} task: all tasks of this process share one thread. "
                'Write the task as `async def` (pool="asyncio"), or give it pool="threads"'
            )

    def guarded(make: Any) -> Any:
        def new_event_loop(*args: Any, **kwargs: Any) -> Any:
            refuse()
            return make(*args, **kwargs)

        return new_event_loop

    asyncio.new_event_loop = asyncio.events.new_event_loop = guarded(asyncio.events.new_event_loop)
    run_forever = asyncio.BaseEventLoop.run_forever
    asyncio.BaseEventLoop.run_forever = guarded(run_forever)  # type: ignore[method-assign]
    uvloop = sys.modules.get("uvloop")
    if uvloop is not None:
        uvloop.new_event_loop = guarded(uvloop.new_event_loop)  # type: ignore[attr-defined]
