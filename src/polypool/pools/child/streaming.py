"""Streaming: drives a task that yields. Each item goes into the task's stream; what it returns is its result.

A generator is held back when its items come faster than the engine takes them: after each WINDOW of items it waits
until the window before that one is written. So neither this process nor the supervisor ever holds more than two
windows of one call, however long the stream is and however long the engine is away.

Whatever is raised in the call from outside, and what an item itself causes, is raised at the generator's `yield`.
"""

import time
from collections.abc import AsyncGenerator, Generator
from typing import Any

from polypool.core.ask import Written
from polypool.core.error import SoftTimeout
from polypool.core.port import Answer, Line
from polypool.pools.child.call import Call
from polypool.pools.child.turn import TURN, aturn, turn

WINDOW = 64
WINDOW_BYTES = 64 * 1024
LOOK_EVERY = 0.2
"""Seconds after which a thread that waits for the engine sees what was raised in it meanwhile."""


class Channel:
    """The way into its task's stream for what one call yields; of a chunk, for what all of its items' runs do."""

    __slots__ = ("_call", "_items", "_line", "_size", "_written")

    def __init__(self, call: Call, line: Line) -> None:
        self._call = call
        self._line = line
        self._items = self._size = 0
        self._written: Answer | None = None
        call.announce()

    def put(self, item: Any) -> Answer | None:
        """Tell watchers of one; what to wait for before the next is asked for. NotEncodable, MessageTooLarge."""
        self._size += self._call.stream(item)
        self._items += 1
        if self._items < WINDOW and self._size < WINDOW_BYTES:
            return None
        self._items = self._size = 0
        before, self._written = self._written, self._line.ask(Written())
        return before


def drain(channel: Channel, items: Generator[Any, Any, Any], gives_way: bool) -> Any:
    """Run a plain generator to its end; what it returns. `gives_way` where other calls share the thread."""
    thrown: BaseException | None = None
    turn_at = time.perf_counter() + TURN
    try:
        while True:
            try:
                item = next(items) if thrown is None else items.throw(thrown)
                thrown = None
                before = channel.put(item)
                if before is not None:
                    _wait(before)
                if gives_way:
                    turn_at = turn(turn_at)
            except StopIteration as end:
                return end.value
            except BaseException as error:
                if items.gi_frame is None:  # type: ignore[attr-defined]  # every generator has it
                    raise  # the generator's own
                thrown = error
    finally:
        items.close()


async def adrain(channel: Channel, items: AsyncGenerator[Any, Any]) -> None:
    """Run an async generator to its end. It returns nothing: the language has no way to."""
    thrown: BaseException | None = None
    turn_at = time.perf_counter() + TURN
    try:
        while True:
            try:
                item = await (anext(items) if thrown is None else items.athrow(thrown))
                thrown = None
                before = channel.put(item)
                if before is not None:
                    await before
                turn_at = await aturn(turn_at)
            except StopAsyncIteration:
                return
            except BaseException as error:
                if items.ag_frame is None:  # type: ignore[attr-defined]  # every async generator has it
                    raise
                thrown = error
    finally:
        await items.aclose()


def _wait(written: Answer) -> None:
    while True:
        try:
            written.result(LOOK_EVERY)
        except SoftTimeout:
            raise
        except TimeoutError:
            continue
        return
