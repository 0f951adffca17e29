"""A client process's way to the engine: one private loop in a thread of its own, behind `delay` as behind `adelay`.

Whoever asks (a thread, a greenlet, a coroutine of any loop) hands the ask over and waits in the way of
its own world.
"""

import atexit
import os
import weakref
from collections.abc import Callable

from polypool import native
from polypool.connection import Connection, Waiter
from polypool.core.ask import Ask
from polypool.core.port import Engine


class ClientLine:
    """This process's line; the port `Line`. Opens at the first ask and closes with the process.

    Around a fork it is closed, for parent and child: an SQLite connection that a child inherits, even one it never
    uses, makes the child's own connections to that file believe in locks which only the parent holds
    (sqlite.org/howtocorrupt.html, §2.6). What the parent's threads wait for goes on afterwards. An engine that was
    given ready made (`reopens` false) is left alone.
    """

    def __init__(self, make_engine: Callable[[], Engine], reopens: bool = True) -> None:
        self._make_engine = make_engine
        self._reopens = reopens
        self._lock = native.lock()
        self._connection: Connection | None = None
        self._inherited: list[Connection] = []
        self._carried: list[Waiter] = []
        itself = weakref.ref(self)
        # The lock also keeps a fork from coming while a thread opens the connection: modules that it is importing
        # would stay locked in the child for ever.
        os.register_at_fork(
            before=lambda: _call(itself, ClientLine._hold),
            after_in_parent=lambda: _call(itself, ClientLine._release),
            after_in_child=lambda: _call(itself, ClientLine._forget),
        )
        # Registered early, so it runs after whatever the program itself does at its end.
        atexit.register(lambda: _call(itself, ClientLine._end))

    def ask(self, ask: Ask) -> native.Answer:
        """Hand over an ask; errors of the engine are raised where the answer is waited for."""
        connection = self._connection
        if connection is not None and (reply := connection.ask(ask)) is not None:
            return reply
        while True:
            with self._lock:
                if self._connection is None or self._connection.is_closed:
                    self._connection = Connection(self._make_engine)
                connection = self._connection
            if (reply := connection.ask(ask)) is not None:
                return reply

    def close(self) -> None:
        """Finish what was sent, end all waits, close the engine. The next ask opens it again."""
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _end(self) -> None:
        """At the end of the process only daemon threads can still be waiting: they end without a word."""
        if self._connection is not None:
            self._connection.is_muted = True
        self.close()

    def _hold(self) -> None:
        """Before a fork."""
        self._lock.acquire()
        if self._connection is not None and self._reopens:
            self._carried = self._connection.suspend()
            self._connection = None

    def _release(self) -> None:
        """After a fork, in the parent."""
        try:
            carried, self._carried = self._carried, []
            if carried:
                self._connection = Connection(self._make_engine)
                for waiter in carried:
                    self._connection.adopt(waiter)
        finally:
            self._lock.release()

    def _forget(self) -> None:
        """After a fork, in the child: threads and locks belong to the parent. An engine that is still open is kept, so
        that nothing finalizes it here."""
        self._lock = native.lock()
        self._carried = []
        if self._connection is not None:
            self._inherited.append(self._connection)
            self._connection = None


def _call(itself: "weakref.ref[ClientLine]", method: Callable[[ClientLine], None]) -> None:
    line = itself()
    if line is not None:
        method(line)
