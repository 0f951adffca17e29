"""A small app for the pools' tests, made of what `core.port.Application` asks for and nothing more."""

import asyncio
import ctypes
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from polypool.core.ask import Put
from polypool.core.codec import decode_any, encode
from polypool.core.error import RetryRequested, SoftTimeout
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
    streams: bool = False
    arguments: PlainArguments = field(default_factory=PlainArguments)


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
mark: ContextVar[str] = ContextVar("mark", default="clean")
ballast = bytearray(os.urandom(1024) * 30 * 1024)
"""30 MB that children should share."""


@contextmanager
def lifespan(app: Any) -> Iterator[dict[str, Any]]:
    yield {"pid": os.getpid(), "runs": []}
    note = os.environ.get("CREW_APP_NOTE")
    if note:
        Path(note).write_text("left")


@contextmanager
def counted(call: Any) -> Iterator[None]:
    call.state["runs"].append(f"enter {call.message.task}")
    try:
        yield
    except Exception as error:
        call.state["runs"].append(type(error).__name__)
        raise
    finally:
        call.state["runs"].append("leave")


app.lifespan = lifespan
app.middleware = [counted]


def call() -> Any:
    found = running.get()
    assert found is not None
    return found


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
def retry(countdown: float | None) -> None:
    try:
        raise KeyError("the cause")
    except KeyError:
        raise RetryRequested(countdown) from None


@app.task(autoretry_for=(OSError,))
def flaky(kind: str) -> None:
    raise {"os": ConnectionError, "value": ValueError}[kind](kind)


@app.task()
def sleep(seconds: float) -> str:
    time.sleep(seconds)
    return "slept"


@app.task()
async def sleep_async(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "slept"


@app.task()
def naps(seconds: float, note: str) -> str:
    """Sleeps in small steps, tells that it began, and how it was ended."""
    path = Path(note)
    try:
        path.write_text("begun")
        for _ in range(int(seconds / 0.01)):
            time.sleep(0.01)
    except SoftTimeout:
        path.write_text("SoftTimeout")
        return "cleaned up"
    except BaseException as error:
        path.write_text(type(error).__name__)
        raise
    return "slept"


@app.task()
async def naps_async(seconds: float, note: str) -> str:
    path = Path(note)
    try:
        path.write_text("begun")
        await asyncio.sleep(seconds)
    except SoftTimeout:
        path.write_text("SoftTimeout")
        return "cleaned up"
    except BaseException as error:
        path.write_text(type(error).__name__)
        raise
    return "slept"


@app.task()
def holds(note: str, release: str) -> str:
    """Tells that it began and goes on until somebody makes the other file."""
    Path(note).write_text("begun")
    while not os.path.exists(release):
        time.sleep(0.01)
    return "released"


@app.task()
async def holds_async(note: str, release: str) -> str:
    Path(note).write_text("begun")
    while not os.path.exists(release):
        await asyncio.sleep(0.01)
    return "released"


@app.task()
def stubborn(seconds: float) -> None:
    """Does not listen."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        try:
            time.sleep(0.01)
        except BaseException:
            continue


@app.task()
async def stubborn_async(seconds: float) -> None:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        try:
            await asyncio.sleep(0.01)
        except BaseException:
            continue


@app.task()
def block(seconds: float) -> None:
    """Computes: blocks whatever shares the thread."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        sum(range(1000))


@app.task()
def computes(release: str) -> None:
    """The same until somebody makes this file; makes one itself to say that it has begun."""
    Path(f"{release}.begun").touch()
    while not os.path.exists(release):
        sum(range(1000))


@app.task()
def burns(seconds: float) -> None:
    """Takes that much CPU, however busy the machine is."""
    ends = time.thread_time() + seconds
    while time.thread_time() < ends:
        sum(range(1000))


@app.task()
def hogs(count: int) -> None:
    """Keeps the interpreter lock in C code: no other thread of the process runs."""
    sum(range(count))


@app.task()
async def block_async(seconds: float) -> None:
    block(seconds)


@app.task()
def who() -> list[Any]:
    return [os.getpid(), call().attempt, call().message.id]


@app.task()
def story(count: int) -> None:
    for number in range(count):
        call().emit({"token": number})
    call().progress(count, count, "told")


@app.task()
def emits(what: str) -> None:
    call().emit(object())


@app.task()
def send(count: int) -> list[bool]:
    assert app.line is not None
    messages = [Message(id=f"sub-{number}", task="nothing", args=b"") for number in range(count)]
    answer: list[bool] = app.line.ask(Put(messages)).result(timeout=10)
    return answer


@app.task()
async def send_async(count: int) -> list[bool]:
    assert app.line is not None
    messages = [Message(id=f"sub-{number}", task="nothing", args=b"") for number in range(count)]
    answer: list[bool] = await app.line.ask(Put(messages))
    return answer


@app.task()
def state() -> list[Any]:
    return [call().state["pid"] == os.getpid(), list(call().state["runs"])]


@app.task()
def marks(text: str) -> str:
    found = mark.get()
    mark.set(text)
    return found


@app.task()
def says(text: str) -> None:
    print(text)
    logging.getLogger("crew").warning("logged %s", text)
    subprocess.run([sys.executable, "-c", f"print('sub', {text!r})"], check=True)


@app.task()
def returns(what: str) -> Any:
    return {"object": object(), "surrogate": "\udc80", "big": 2**80}.get(what, what)


@app.task()
def grows(megabytes: int, note: str = "", release: str = "") -> int:
    call().state["ballast"] = bytearray(os.urandom(1024) * 1024 * megabytes)
    if note:
        holds(note, release)
    return os.getpid()


@app.task()
def runs_asyncio() -> int:
    return asyncio.run(add_async(1, 2))


@app.task()
def nested(seconds: float) -> int:
    with subprocess.Popen(["sleep", str(seconds)]) as process:
        return process.wait()


@app.task()
def plenty(where: str, size: int) -> Any:
    """Brings forth so many bytes."""
    if where == "event":
        call().emit(bytes(size))
    if where == "error":
        raise ValueError("x" * size)
    return bytes(size) if where == "result" else None
