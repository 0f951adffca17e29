"""Template: the process that has imported the app once and makes the children, seen from the supervisor."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import NamedTuple

from polypool.core.error import ConfigurationError
from polypool.core.manifest import Manifest
from polypool.pools.page import open_page
from polypool.pools.wire import (
    Birth,
    Born,
    Exited,
    Frames,
    FromTemplate,
    Loaded,
    LoadFailed,
    Stillborn,
    decode_from_template,
    frame,
)

READ_BYTES = 64 * 1024


class Newborn(NamedTuple):
    """What the supervisor keeps of a child under way: its end of the socket, and the page (a descriptor)."""

    end: socket.socket
    page_fd: int


class Kin(NamedTuple):
    """Who wants to know of a child: `born(pid)` and, once, `gone(status or None, reason)`."""

    born: Callable[[int], None]
    gone: Callable[[int | None, str], None]


class Template:
    """Children of prefork, asyncio, threads and solo are forks of it and share its memory."""

    def __init__(self, target: str, directory: str, on_lost: Callable[["Template"], None]) -> None:
        self._target = target
        self._directory = directory
        self._on_lost = on_lost
        self._kin: dict[int, Kin] = {}
        self._last_name = 0
        self._frames = Frames()
        self._is_retired = False
        self._is_open = False
        self._end: socket.socket | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._loaded: asyncio.Future[Manifest] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    @property
    def is_open(self) -> bool:
        """Whether it can make children."""
        return self._is_open and not self._is_retired

    async def start(self) -> Manifest:
        """Start the process and import the app there. ConfigurationError says why that failed."""
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        self._end, self._loaded = ours, loop.create_future()
        with theirs:
            fd = theirs.fileno()
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "polypool.pools.child", "template", str(fd), self._target, self._directory,
                pass_fds=(fd,), stdin=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
        loop.add_reader(ours.fileno(), self._read)
        try:
            manifest = await self._loaded
        except BaseException:
            await self.stop()
            raise
        self._is_open = True
        return manifest

    def bear(self, kind: str, concurrency: int, max_memory: int | None, blocked_after: float, kin: Kin) -> Newborn:
        """Ask for a child; `kin` hears of it. ConfigurationError when the template is gone."""
        if self._end is None or not self.is_open:
            raise ConfigurationError("the template process is gone; a new one is being started")
        self._last_name = name = self._last_name + 1
        ours, theirs = socket.socketpair()
        page_fd = open_page()
        request = frame([Birth(name, kind, concurrency, max_memory, blocked_after)])
        with theirs:
            socket.send_fds(self._end, [request], [theirs.fileno(), page_fd])
        self._kin[name] = kin
        return Newborn(ours, page_fd)

    def retire(self) -> None:
        """Make no more children, and end once those there are have ended."""
        self._is_retired = True
        if not self._kin:
            self._hang_up()

    async def stop(self) -> None:
        """End the process. Its children are killed by their own watch over it."""
        self._is_retired = True
        self._hang_up()
        if self._process is None:
            return
        try:
            await asyncio.wait_for(self._process.wait(), 5.0)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    def _hang_up(self) -> None:
        if self._end is not None:
            asyncio.get_running_loop().remove_reader(self._end.fileno())
            self._end.close()
            self._end = None
        self._is_open = False

    def _read(self) -> None:
        assert self._end is not None
        try:
            data = self._end.recv(READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._lose()
            return
        for body in self._frames.feed(data):
            for item in decode_from_template(body):
                self._hear(item)

    def _hear(self, item: FromTemplate) -> None:
        match item:
            case Born(name, pid):
                self._kin[name].born(pid)
            case Exited(name, status):
                self._end_child(name, status, why_exited(status))
            case Stillborn(name, reason):
                self._end_child(name, None, reason)
            case Loaded(manifest):
                self._answer(manifest)
            case LoadFailed(reason):
                self._answer(ConfigurationError(reason))

    def _end_child(self, name: int, status: int | None, reason: str) -> None:
        self._kin.pop(name).gone(status, reason)
        if self._is_retired and not self._kin:
            self._hang_up()

    def _answer(self, answer: Manifest | ConfigurationError) -> None:
        if self._loaded is None or self._loaded.done():
            return
        if isinstance(answer, ConfigurationError):
            self._loaded.set_exception(answer)
        else:
            self._loaded.set_result(answer)

    def _lose(self) -> None:
        """It died, with all of its children: a kernel that runs out of memory may well pick it."""
        self._hang_up()
        self._answer(
            ConfigurationError(
                f"the process that imports {self._target} ended before the import was over (see its output above); "
                "does the module call sys.exit() or os._exit() when imported?"
            )
        )
        kin, self._kin = self._kin, {}
        if not self._is_retired:
            self._on_lost(self)  # first, so that its children are not asked of it again
        for child in kin.values():
            child.gone(None, "the process it was forked from died")


def why_exited(status: int) -> str:
    """A child's exit status in words."""
    if status >= 0:
        return f"exited with status {status} (os._exit or sys.exit)"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    hint = " (the out-of-memory killer, or somebody)" if -status == signal.SIGKILL else ""
    return f"killed by {name}{hint}"


def kill(pid: int) -> None:
    """End a child at once; nothing if it is gone already."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
