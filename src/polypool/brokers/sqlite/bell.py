"""Wakes whoever waits for a change in the file, in this process and in others, without polling it.

Each engine that waits binds a datagram socket, named for what it waits for, in a folder that all processes find by the
database file's device and inode. Whoever commits sends an empty datagram to each. A bell that cannot be heard
(another container or user, a file system without sockets) costs half a second: those who wait also ask SQLite
whether the file changed.

A commit that is not ours to see (`task.using(connection)`) is announced instead, when something is sent within its
transaction: from then on those who wait ask more often, the longer it takes the less often.
"""

import _socket
import asyncio
import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Callable, Collection

from polypool.brokers.sqlite.database import Database
from polypool.brokers.sqlite.transaction import Ring

LOOK_ANYWAY = 0.5
"""Seconds between asking SQLite whether the file changed unheard."""
SOONEST_LOOK = 0.001
PART_OF_TIME = 0.25
"""Seconds between looks for a commit that was announced, as a part of the time since then."""
ANNOUNCED_ANEW = 0.1
"""Seconds within which announcements count as one: a transaction that sends a thousand makes a thousand."""
SOON = b"soon"


class Bell:
    """One engine's ears and hand. `ring_others` may be called from any thread, the rest on the loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.after_commit(self.ring_here, self.ring_others)
        self._folder: str | None = None
        self._version: int | None = None
        self._rung = {kind: asyncio.Event() for kind in Ring}
        self._counts = dict.fromkeys(Ring, 0)
        self._ears: dict[Ring, Ear] = {}
        self._announced_at = 0.0
        self._sender = _datagram_socket()

    def hang(self) -> None:
        """Find the folder where the bells of this database hang, once there is a database."""
        self._folder = _folder(self._database.path)

    def count(self, kind: Ring) -> int:
        """How often it rang; ask before looking, then wait `after` it, and nothing is missed."""
        if kind not in self._ears:
            self._ears[kind] = Ear(self._folder, kind, self._expect)
        return self._counts[kind]

    async def after(self, kind: Ring, count: int, wait: float) -> None:
        """Return once it has rung more than `count` times, or after `wait` seconds."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        ear = self._ears[kind]
        ear.attend(loop, lambda: self.ring_here([kind]))
        try:
            while self._counts[kind] == count and (left := deadline - loop.time()) > 0:
                try:
                    async with asyncio.timeout(min(left, self._pause(loop.time()))):
                        await self._rung[kind].wait()
                except TimeoutError:
                    await self._look_anyway()
        finally:
            ear.unattend()

    def ring_here(self, kinds: Collection[Ring]) -> None:
        """Wake this engine's own waiters."""
        for kind in kinds:
            self._counts[kind] += 1
            self._rung[kind].set()
            self._rung[kind] = asyncio.Event()

    def ring_others(self, kinds: Collection[Ring]) -> None:
        """Wake other engines' waiters; never blocks, and tidies up after the dead."""
        if not kinds or self._folder is None:
            return
        _tell(self._sender, self._folder, kinds, own={ear.name for ear in tuple(self._ears.values())})

    def close(self) -> None:
        """Wake all who wait here, for nothing will ring any more."""
        self.ring_here(tuple(Ring))
        for ear in self._ears.values():
            ear.close()
        self._sender.close()
        if self._folder is not None:
            with contextlib.suppress(OSError):  # others still listen
                os.rmdir(self._folder)

    def _expect(self, now: float) -> None:
        """Somebody is about to commit: look soon, and begin with that now."""
        if now - self._announced_at > ANNOUNCED_ANEW:
            self._announced_at = now
            for kind in Ring:
                self._rung[kind].set()
                self._rung[kind] = asyncio.Event()

    def _pause(self, now: float) -> float:
        """Seconds until the next look."""
        return min(max((now - self._announced_at) * PART_OF_TIME, SOONEST_LOOK), LOOK_ANYWAY)

    async def _look_anyway(self) -> None:
        version = await self._database.read(lambda c: c.execute("PRAGMA data_version").fetchone()[0])
        if version != self._version:
            self._version = version
            self.ring_here(tuple(Ring))


class Ear:
    """A bound socket, listened to only while somebody waits: a busy worker is not woken by each message put."""

    def __init__(self, folder: str | None, kind: Ring, expect: Callable[[float], None]) -> None:
        self.name = f"{kind}.{os.getpid()}.{os.urandom(4).hex()}"
        self._expect = expect
        self._attending = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._path = f"{folder}/{self.name}"
        self._socket: _socket.socket | None = None
        if folder is not None:
            bound = _datagram_socket()
            try:
                _bind(bound, self._path)
            except OSError:
                bound.close()
            else:
                self._socket = bound

    def attend(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> None:
        self._attending += 1
        if self._attending == 1 and self._socket is not None:
            self._loop = loop
            loop.add_reader(self._socket.fileno(), self._hear, ring)

    def unattend(self) -> None:
        self._attending -= 1
        if self._attending == 0:
            self._turn_away()

    def _turn_away(self) -> None:
        if self._loop is not None and self._socket is not None:
            self._loop.remove_reader(self._socket.fileno())
        self._loop = None

    def close(self) -> None:
        self._turn_away()
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            with contextlib.suppress(OSError):
                os.unlink(self._path)

    def _hear(self, ring: Callable[[], None]) -> None:
        said = set[bytes]()
        with contextlib.suppress(BlockingIOError):
            while self._socket is not None:
                said.add(self._socket.recv(len(SOON)))
        if SOON in said and self._loop is not None:
            self._expect(self._loop.time())
        if said != {SOON}:
            ring()


def announce(path: str) -> None:
    """Tell whoever waits for work in a database that a transaction is about to commit some."""
    if (folder := _folder(path)) is not None:
        sender = _datagram_socket()
        try:
            _tell(sender, folder, (Ring.WORK,), SOON)
        finally:
            sender.close()


def _tell(
    sender: _socket.socket, folder: str, kinds: Collection[Ring], said: bytes = b"", own: Collection[str] = ()
) -> None:
    """Ring the bells that hang in a folder, all but one's own; take down those of the dead."""
    try:
        names = [name for name in os.listdir(folder) if name.partition(".")[0] in kinds and name not in own]
    except OSError:
        return
    for name in names:
        path = f"{folder}/{name}"
        try:
            sender.sendto(said, path)
        except OSError as error:
            # A full queue (EAGAIN) means it will wake anyway.
            if error.errno == errno.ECONNREFUSED:
                with contextlib.suppress(OSError):
                    os.unlink(path)


def _bind(made: _socket.socket, path: str) -> None:
    try:
        made.bind(path)
    except FileNotFoundError:
        # The last one who went took the folder away meanwhile.
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        made.bind(path)


def _datagram_socket() -> _socket.socket:
    # The socket of the C module: gevent and eventlet replace that of the library, and this one never blocks.
    made = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM)
    made.setblocking(False)
    return made


def _folder(file: str) -> str | None:
    """Where the bells of a database hang; None where there can be none."""
    try:
        found = os.stat(file)
        home = f"{tempfile.gettempdir()}/polypool-{os.geteuid()}"
        folder = f"{home}/{found.st_dev:x}-{found.st_ino:x}"
        os.makedirs(home, mode=0o700, exist_ok=True)
        os.makedirs(folder, mode=0o700, exist_ok=True)
        private = os.lstat(home)
    except OSError:
        return None
    # In a folder that somebody else owns or may write to, others could listen or take names away.
    is_mine = stat.S_ISDIR(private.st_mode) and private.st_uid == os.geteuid() and not private.st_mode & 0o022
    return folder if is_mine else None
