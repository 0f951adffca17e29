"""A small app for the pools' tests, made of what `core.port.Application` asks for and nothing more."""

import asyncio
import ctypes
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from polypool.core.ask import Put
from polypool.core.codec import decode_any, encode
from polypool.core.error import RetryRequested
from polypool.core.manifest import Manifest, TaskSpec
from polypool.core.message import Message
from polypool.core.port import Line, Runnable
from polypool.core.running import running


class PlainArguments:
    """Arguments as they come."""

    def encode(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
        return encode([list(args), kwargs])

    def decode(self, body: bytes) -> tuple[list[Any], dict[str, Any]]:
        args, kwargs = decode_any(body)
        return args, kwargs


@dataclass
class PlainTask:
    name: str
    function: Callable[..., Any]
    is_async: bool
    autoretry_for: tuple[type[BaseException], ...] = ()
    bind: bool = False
    arguments: PlainArguments = PlainArguments()


class PlainApp:
    """The registry of tasks, and a lifespan."""

    def __init__(self) -> None:
        self.tasks: dict[str, Runnable] = {}
        self.lifespan: Any = None
        self.middleware: list[Any] = []
        self.line: Line | None = None

    def task(self, **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        def register(function: Callable[..., Any]) -> Callable[..., Any]:
            name = function.__name__
            self.tasks[name] = PlainTask(name, function, asyncio.iscoroutinefunction(function), **options)
            return function

        return register

    def use(self, line: Line) -> None:
        self.line = line

    def manifest(self) -> Manifest:
        specs = tuple(TaskSpec(name, "asyncio", is_async=task.is_async) for name, task in self.tasks.items())
        return Manifest("crew_app:app", "memory://", specs)


app = PlainApp()


@app.task()
def nothing() -> None:
    pass


@app.task()
async def nothing_async() -> None:
    pass


@app.task()
def add(a: int, b: int) -> int:
    return a + b


@app.task()
async def add_async(a: int, b: int) -> int:
    await asyncio.sleep(0)
    return a + b


@app.task()
def crash(how: str) -> None:
    if how == "segv":
        ctypes.string_at(0)
    if how == "exit":
        os._exit(3)
    sys.exit(4)


@app.task()
def fail(text: str) -> None:
    raise ValueError(text)


@app.task()
async def fail_async(text: str) -> None:
    raise ValueError(text)


@app.task()
def sleep(seconds: float) -> str:
    time.sleep(seconds)
    return "slept"


@app.task()
async def sleep_async(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "slept"


@app.task()
def block(seconds: float) -> None:
    """Blocks whatever shares the thread, without Python noticing."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        pass
