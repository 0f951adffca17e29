"""Each: the runs of a chunk, one after the other within one call. An error names the item at which it was raised."""

import functools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import starmap
from typing import Any

from polypool.core.running import Sendable
from polypool.pools.child.call import Call
from polypool.pools.child.turn import TURN, aturn, turn

Drain = Callable[[Any], Any]
"""Runs a generator that was begun to its end, or for an async one returns a coroutine that does."""


def run_each(call: Call, items: Sequence[Any], gives_way: bool, drain: Drain | None = None) -> list[Any]:
    """What a plain function returns for each; `gives_way` where other calls share the thread."""
    values: list[Any] = []
    add = values.append
    try:
        for value in _begun(call, _giving_way(items) if gives_way else items, drain):
            add(value)
            if call.interruption is not None:
                raise call.interruption  # which that item took for an error of its own
    except BaseException as error:
        error.add_note(_which(len(values)))
        raise
    return values


async def run_each_async(call: Call, items: Sequence[Any], drain: Drain | None = None) -> list[Any]:
    """The same on a loop, for functions of either colour."""
    values: list[Any] = []
    add, is_async = values.append, call.runnable.is_async
    turn_at = time.perf_counter() + TURN
    try:
        for value in _begun(call, items, drain):
            add((await value) if is_async else value)
            if call.interruption is not None:
                raise call.interruption
            turn_at = await aturn(turn_at)
    except BaseException as error:
        error.add_note(_which(len(values)))
        raise
    return values


def culprit(values: list[Any], encode: Callable[[Any], object]) -> str:
    """Which of a chunk's values has no form to be sent in, and what to do."""
    for index, value in enumerate(values):
        if isinstance(value, Sendable):
            return f"item {index:,} returned a workflow, which cannot take the place of one item of a chunk: use `map`"
        try:
            encode(value)
        except Exception as error:
            return f"item {index:,} returned a value of type {type(value).__qualname__}: {error}"
    return ""


def _begun(call: Call, items: Iterable[Any], drain: Drain | None) -> Iterator[Any]:
    """Calls the function for each as it is iterated: in C, so that a short function is most of what an item takes."""
    function = call.runnable.function
    if call.runnable.bind:
        function = functools.partial(function, call.runnable)
    begun = starmap(function, items) if call.message.each == "tuple" else map(function, items)
    return begun if drain is None else map(drain, begun)


def _giving_way(items: Iterable[Any]) -> Iterator[Any]:
    turn_at = time.perf_counter() + TURN
    for item in items:
        yield item
        turn_at = turn(turn_at)


def _which(index: int) -> str:
    return f"polypool: this was item {index:,}, counted from 0"
