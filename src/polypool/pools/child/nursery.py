"""Nursery: the template process. It imports the app once, and makes children for the supervisor.

It has one thread, so forking it is sound, and it never runs a task, so what it holds is only what importing the app
left. Garbage collection is frozen before the first fork: otherwise the collector's marks would unshare the pages.
"""

import contextlib
import gc
import logging
import os
import select
import signal
import socket
import sys
import threading
from collections import deque
from typing import NoReturn

from polypool.core.error import ConfigurationError
from polypool.core.port import Application
from polypool.pools.child import parent
from polypool.pools.child.life import GREENLETS, Birthright, live
from polypool.pools.child.load import load
from polypool.pools.wire import (
    Birth,
    Born,
    Exited,
    Frames,
    FromTemplate,
    Loaded,
    LoadFailed,
    Stillborn,
    decode_births,
    frame,
)

log = logging.getLogger("polypool.pools")

_FRESH_START = {
    "gevent": "from gevent import monkey; monkey.patch_all()",
    "eventlet": r"import warnings; warnings.filterwarnings('ignore', r'\s*Eventlet is deprecated'); "
    "import eventlet; eventlet.monkey_patch()",
    "": "pass",
}
"""Greenlet libraries patch the whole process, and must do so before anything else is imported.
Eventlet's own farewell would be printed by each child; docs say it to who chooses that pool."""


class Nursery:
    """The template's main loop."""

    def __init__(self, control: socket.socket, target: str, directory: str) -> None:
        self._control = control
        self._target = target
        self._directory = directory
        self._frames = Frames()
        self._fds: deque[int] = deque()
        self._children: dict[int, int] = {}
        self._app: Application | None = None
        self._has_threads = False

    def open(self) -> NoReturn:
        """Import the app, report, then serve until the supervisor hangs up."""
        parent.die_with_it()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _nothing)
        try:
            self._app = app = load(self._target, self._directory)
            loaded = Loaded(app.manifest())
        except ConfigurationError as error:
            self._tell(LoadFailed(str(error)))
            os._exit(1)
        self._import_executors()
        self._note_threads()
        gc.collect()
        gc.freeze()
        self._tell(loaded)
        self._serve()

    def _import_executors(self) -> None:
        """Once here instead of once in each child."""
        import polypool.pools.executors.loop
        import polypool.pools.executors.solo
        import polypool.pools.executors.threads  # noqa: F401

        with contextlib.suppress(ImportError):
            import uvloop  # noqa: F401

    def _note_threads(self) -> None:
        others = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
        self._has_threads = bool(others)
        if others:
            log.warning(
                "importing %s started threads (%s), which no fork survives: children import the app each for "
                "themselves and share no memory; start threads in the lifespan instead",
                self._target,
                ", ".join(others),
            )

    def _serve(self) -> NoReturn:
        ear, mouth = socket.socketpair()
        ear.setblocking(False)
        mouth.setblocking(False)
        signal.signal(signal.SIGCHLD, _nothing)
        signal.set_wakeup_fd(mouth.fileno(), warn_on_full_buffer=False)
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(ear, select.POLLIN)
        while True:
            ready = {fd for fd, _ in poll.poll()}
            if ear.fileno() in ready:
                ear.recv(4096)
                self._reap()
            if self._control.fileno() in ready:
                self._read()

    def _read(self) -> None:
        try:
            data, fds, _, _ = socket.recv_fds(self._control, 65536, 256)
        except ConnectionResetError:
            data, fds = b"", []  # killed before it had read everything we said
        if not data:
            # The supervisor is gone or wants no more children; those there are die with this process.
            os._exit(0)
        self._fds.extend(fds)
        for body in self._frames.feed(data):
            for birth in decode_births(body):
                self._bear(birth, self._fds.popleft(), self._fds.popleft())

    def _bear(self, birth: Birth, socket_fd: int, page_fd: int) -> None:
        try:
            if birth.kind in GREENLETS or self._has_threads:
                pid = self._spawn(birth, socket_fd, page_fd)
            else:
                pid = self._fork(birth, socket_fd, page_fd)
        except OSError as error:
            self._tell(Stillborn(birth.name, f"{error}; check the limits on processes and memory"))
        else:
            self._children[pid] = birth.name
            self._tell(Born(birth.name, pid))
        finally:
            os.close(socket_fd)
            os.close(page_fd)

    def _fork(self, birth: Birth, socket_fd: int, page_fd: int) -> int:
        pid = os.fork()
        if pid:
            return pid
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._control.close()
        app = self._app
        assert app is not None
        live(_right(birth), socket_fd, page_fd, lambda: app)

    def _spawn(self, birth: Birth, socket_fd: int, page_fd: int) -> int:
        start = _FRESH_START.get(birth.kind, "pass")
        code = f"{start}; from polypool.pools.child.__main__ import main; main()"
        right = _right(birth)
        limits = [right.kind, str(right.concurrency), str(right.max_memory or 0), str(right.blocked_after)]
        arguments = ["life", str(socket_fd), str(page_fd), *limits, self._target, self._directory]
        for fd in (socket_fd, page_fd):
            os.set_inheritable(fd, True)
        command = [sys.executable, "-P", "-c", code, *arguments]
        return os.posix_spawn(sys.executable, command, os.environ)

    def _reap(self) -> None:
        for pid, name in list(self._children.items()):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                del self._children[pid]
                self._tell(Exited(name, os.waitstatus_to_exitcode(status)))

    def _tell(self, item: FromTemplate) -> None:
        try:
            self._control.sendall(frame([item]))
        except OSError:
            os._exit(0)


def _right(birth: Birth) -> Birthright:
    return Birthright(birth.kind, birth.concurrency, birth.max_memory, birth.blocked_after)


def _nothing(signum: int, frame: object) -> None:
    pass
