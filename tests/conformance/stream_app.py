"""A real app for the pools' tests of tasks that yield."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polypool import Polypool, chain, current
from polypool.core.error import SoftTimeout

app = Polypool("streams", broker="memory://")


@dataclass
class Token:
    text: str


@app.task
def counts(n: int) -> Generator[int, None, str]:
    yield from range(n)
    return f"counted {n}"


@app.task
async def counts_async(n: int) -> AsyncIterator[int]:
    for number in range(n):
        yield number


@app.task
def mixes(text: str) -> Generator[Any, None, None]:
    yield Token(text)
    current.progress(1, 2, "half")
    yield {"attempt": current.attempt}


@app.task
async def mixes_async(text: str) -> AsyncIterator[Any]:
    yield Token(text)
    current.progress(1, 2, "half")
    yield {"attempt": current.attempt}


@app.task(bind=True)
def bound(self: Any, n: int) -> Generator[str, None, int]:
    yield self.name
    return n


@app.task(bind=True)
async def bound_async(self: Any, n: int) -> AsyncIterator[str]:
    yield self.name


@app.task(autoretry_for=(OSError,))
def fails(kind: str) -> Generator[int, None, None]:
    yield 1
    raise OSError("away") if kind == "retry" else ValueError("wrong")


@app.task(autoretry_for=(OSError,))
async def fails_async(kind: str) -> AsyncIterator[int]:
    yield 1
    raise OSError("away") if kind == "retry" else ValueError("wrong")


@app.task
def yields_object(path: str) -> Generator[Any, None, str]:
    try:
        yield object()
    finally:
        Path(path).write_text("closed")
    return "unreachable"


@app.task
async def yields_object_async(path: str) -> AsyncIterator[Any]:
    try:
        yield object()
    finally:
        Path(path).write_text("closed")


@app.task
def yields_workflow() -> Generator[Any, None, None]:
    yield counts.s(1)


@app.task
async def yields_workflow_async() -> AsyncIterator[Any]:
    yield counts.s(1)


@app.task
def goes_on(n: int) -> Generator[int, None, Any]:
    yield n
    return chain(counts.s(n), counts.si(n))


@app.task
def ends_softly() -> Generator[str, None, str]:
    try:
        for number in itertools.count():
            yield str(number)
            time.sleep(0.01)
    except SoftTimeout:
        yield "cut short"
    return "in time"


@app.task
async def ends_softly_async() -> AsyncIterator[str]:
    try:
        for number in itertools.count():
            yield str(number)
            await asyncio.sleep(0.01)
    except SoftTimeout:
        yield "cut short"


@app.task
def endless(path: str) -> Generator[int, None, None]:
    try:
        yield from itertools.count()
    finally:
        Path(path).write_text("closed")


@app.task
async def endless_async(path: str) -> AsyncIterator[int]:
    try:
        for number in itertools.count():
            yield number
    finally:
        Path(path).write_text("closed")


@app.task
def slow(path: str) -> Generator[int, None, None]:
    try:
        yield 1
        time.sleep(600)
    finally:
        Path(path).write_text("closed")


@app.task
async def slow_async(path: str) -> AsyncIterator[int]:
    try:
        yield 1
        await asyncio.sleep(600)
    finally:
        Path(path).write_text("closed")
