"""A real app for the pools' tests of what steps of workflows do: take others' results, run item by item, wait."""

import asyncio
import os
import time
from collections.abc import AsyncIterable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polypool import Polypool, current
from polypool.core.outcome import FailedStep
from polypool.values import Values

app = Polypool("steps", broker="memory://")


@dataclass
class Point:
    x: int
    y: int


@app.task
def shows(*args: Any, **kwargs: Any) -> list[Any]:
    return [list(args), kwargs]


@app.task
async def shows_async(*args: Any, **kwargs: Any) -> list[Any]:
    return [list(args), kwargs]


@app.task
def adds(a: int, b: Point, c: int = 0) -> list[Any]:
    return [type(b).__name__, a + b.x + b.y + c]


@app.task
async def adds_async(a: int, b: Point, c: int = 0) -> list[Any]:
    return [type(b).__name__, a + b.x + b.y + c]


@app.task
def totals(parts: Iterable[int]) -> list[Any]:
    return [type(parts).__name__, sum(parts)]


@app.task
async def totals_async(parts: Values[int]) -> list[Any]:
    total = 0
    async for part in parts:
        total += part
    return [type(parts).__name__, total]


@app.task
def totals_list(parts: list[int]) -> list[Any]:
    return [type(parts).__name__, sum(parts)]


@app.task
async def totals_list_async(parts: list[int]) -> list[Any]:
    return [type(parts).__name__, sum(parts)]


@app.task
def picks(points: Sequence[Point]) -> list[Any]:
    return [len(points), points[-1].x, [point.y for point in points[1:1500:700]]]


@app.task
async def picks_async(points: Values[Point]) -> list[Any]:
    return [len(points), (await points.aget(-1)).x, [point.y async for point in points[1:1500:700]]]


@app.task
async def forgets_async(parts: Iterable[int]) -> int:
    """Goes through them as a plain function would."""
    return sum(parts)


@app.task
async def streams_async(parts: AsyncIterable[int]) -> list[int]:
    return [part async for part in parts]


@app.task
def explains(failed: FailedStep) -> list[Any]:
    return [type(failed).__name__, failed.task_id, failed.task, failed.type, failed.message, failed.workflow_id]


@app.task
async def explains_async(failed: FailedStep) -> list[Any]:
    return [type(failed).__name__, failed.task_id, failed.task, failed.type, failed.message, failed.workflow_id]


@app.task
def doubles(number: int) -> int:
    return 2 * number


@app.task
async def doubles_async(number: int) -> int:
    return 2 * number


@app.task
def moves(point: Point, by: int = 1) -> list[Any]:
    return [type(point).__name__, point.x + by]


@app.task
async def moves_async(point: Point, by: int = 1) -> list[Any]:
    await asyncio.sleep(0)
    return [type(point).__name__, point.x + by]


@app.task
def divides(number: int) -> float:
    return 1 / number


@app.task
async def divides_async(number: int) -> float:
    return 1 / number


@app.task(bind=True)
def bound(self: Any, number: int) -> str:
    return f"{self.name} {number}"


@app.task(bind=True)
async def bound_async(self: Any, number: int) -> str:
    return f"{self.name} {number}"


@app.task
def returns_some(number: int) -> Any:
    return object() if number == 3 else number


@app.task
async def returns_some_async(number: int) -> Any:
    return object() if number == 3 else number


def _spin(note: str) -> None:
    Path(note).touch()  # swallows OSError, and so SoftTimeout: a chunk must end for all that
    ends = time.perf_counter() + 0.001
    while time.perf_counter() < ends:
        pass


@app.task
def spins(note: str) -> None:
    """A millisecond of computing, without a switch to anything else."""
    _spin(note)


@app.task
async def spins_async(note: str) -> None:
    """The same, without an await that would let the loop turn."""
    _spin(note)


@app.task
async def waits_async(id: str) -> Any:
    return await app.result(id).aget()


@app.task
async def waits_for_two_async(first: str, second: str) -> Any:
    return await asyncio.gather(app.result(first).aget(), app.result(second).aget())


@app.task
async def tells_async(note: str) -> int:
    Path(note).touch()
    return os.getpid()


@app.task
def whose() -> str:
    return current.task_id
