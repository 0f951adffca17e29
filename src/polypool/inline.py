"""Inline: a workflow run here and now, by plain function calls."""

import inspect
from collections.abc import Generator, Mapping
from typing import Any, Protocol


class RunsHere(Protocol):
    """A signature, or what was composed of them."""

    def here(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Generator[Any, Any, Any]: ...
    def is_async(self) -> bool: ...


def run_here(composed: RunsHere, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Its value; a coroutine where one of its tasks is async."""
    return _awaited(composed.here(args, kwargs)) if composed.is_async() else _plain(composed.here(args, kwargs))


def _plain(calls: Generator[Any, Any, Any]) -> Any:
    try:
        value = next(calls)
        while True:
            value = calls.send(value)
    except StopIteration as end:
        return end.value


async def _awaited(calls: Generator[Any, Any, Any]) -> Any:
    try:
        value = next(calls)
        while True:
            value = calls.send(await value if inspect.isawaitable(value) else value)
    except StopIteration as end:
        return end.value
