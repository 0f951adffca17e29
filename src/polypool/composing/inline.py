"""Inline: a workflow run here and now, by plain function calls."""

import inspect
from collections.abc import AsyncGenerator, Generator, Mapping
from typing import Any, Protocol


class RunsHere(Protocol):
    """A signature, or what was composed of them."""

    def here(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Generator[Any, Any, Any]: ...
    def is_async(self) -> bool: ...


def run_here(composed: RunsHere, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Its value; a coroutine where one of its tasks is async, or one of a workflow that a task returned."""
    calls = composed.here(args, kwargs)
    return _awaited(calls) if composed.is_async() else _plain(calls)


def _plain(calls: Generator[Any, Any, Any]) -> Any:
    try:
        value = _run_out(next(calls))
        while not inspect.isawaitable(value):
            value = _run_out(calls.send(value))
    except StopIteration as end:
        return end.value
    return _awaited(calls, value)


async def _awaited(calls: Generator[Any, Any, Any], value: Any = None) -> Any:
    """`value`: of the call that it goes on from."""
    try:
        value = _run_out(next(calls)) if value is None else value
        while True:
            value = _run_out(calls.send(await value if inspect.isawaitable(value) else value))
    except StopIteration as end:
        return end.value


def _run_out(value: Any) -> Any:
    """What a step returned; of one that yields, what it returns at its end: nobody watches its items here."""
    if inspect.isgenerator(value):
        return _returned_by(value)
    return _ended(value) if inspect.isasyncgen(value) else value


def _returned_by(items: Generator[Any, Any, Any]) -> Any:
    while True:
        try:
            next(items)
        except StopIteration as end:
            return end.value


async def _ended(items: AsyncGenerator[Any, Any]) -> None:
    async for _ in items:
        pass
