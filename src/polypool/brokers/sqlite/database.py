"""The one thread that owns the connection, with group commit.

Whatever jobs piled up while the last transaction was under way share the next one: no added delay when idle, few
commits when busy. If one fails, the transaction is rolled back and each job runs in one of its own, so that only
the guilty one fails.
"""

import asyncio
import random
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar

import msgspec

from polypool.brokers.sqlite.fault import is_busy, mapped
from polypool.brokers.sqlite.file import connect, identity
from polypool.brokers.sqlite.options import Options
from polypool.brokers.sqlite.transaction import Recount, Ring, Transaction
from polypool.core.error import EngineError, EngineUnreachable
from polypool.native import lock, start_thread

T = TypeVar("T")

JOBS_A_COMMIT = 200
"""So that no transaction keeps other processes waiting for long."""
AGAIN_AFTER = 0.5
"""Seconds until what nobody waits for is tried again."""


class Job(msgspec.Struct, eq=False):
    """Work for the thread: a look without the write lock, a change with it, or the one and then the other."""

    future: asyncio.Future[Any]
    look: Callable[[sqlite3.Connection], Any] | None = None
    """If it returns anything but None, that is the answer and nothing is changed."""
    change: Callable[[Transaction], Any] | None = None
    undo: Callable[[Any], None] | None = None
    """Called on the loop with the answer when nobody waits for it any more."""
    answer: Any = None
    error: Exception | None = None


class Database:
    """A file, opened once, for coroutines of one loop."""

    def __init__(self, path: str, options: Options) -> None:
        self.path = path
        self._options = options
        self._jobs: deque[Job] = deque()
        self._guard = lock()
        self._is_idle = False
        self._wake = lock()
        self._wake.acquire()
        self._is_closing = False
        self._identity: tuple[int, int] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._under_way: set[asyncio.Future[Any]] = set()
        self._thread_ended: asyncio.Future[None] | None = None
        self._ring_here: Callable[[Collection[Ring]], None] = _ring_nobody
        self._ring_others: Callable[[Collection[Ring]], None] = _ring_nobody

    def after_commit(
        self, here: Callable[[Collection[Ring]], None], others: Callable[[Collection[Ring]], None]
    ) -> None:
        """Whom to tell what changed: `here` is called on the loop, `others` in the thread."""
        self._ring_here, self._ring_others = here, others

    async def open(self) -> None:
        """Start the thread and open the file, making it if there is none."""
        if self._thread_ended is not None:
            return
        self._loop = asyncio.get_running_loop()
        self._thread_ended = self._loop.create_future()
        opened = self._loop.create_future()

        def serve_sqlite() -> None:
            self._serve(opened)

        start_thread(serve_sqlite)
        try:
            await opened
        except BaseException:
            self._thread_ended = None
            raise

    async def close(self) -> None:
        """Finish everything under way, then close the file."""
        if self._thread_ended is None:
            return
        while self._under_way:
            await asyncio.wait(self._under_way)
            await asyncio.sleep(0)  # whoever is told now may have something to give back
        self._is_closing = True
        self._rouse()
        await self._thread_ended

    async def read(self, look: Callable[[sqlite3.Connection], T]) -> T:
        """Run a function that only reads."""
        answer: T = await self._ask(look=lambda connection: (look(connection),))
        return answer

    async def write(
        self,
        change: Callable[[Transaction], T],
        look: Callable[[sqlite3.Connection], T | None] | None = None,
        undo: Callable[[T], None] | None = None,
    ) -> T:
        """Run a function in a transaction, together with what else there is to write."""
        answer: T = await self._ask(look=look, change=change, undo=undo)
        return answer

    def write_soon(self, change: Callable[[Transaction], None]) -> None:
        """Run a function in a transaction, with nobody waiting for it: again until it succeeds, while this is open."""

        def try_again(written: asyncio.Future[Any]) -> None:
            if not written.cancelled() and isinstance(written.exception(), EngineError) and self._loop is not None:
                self._loop.call_later(AGAIN_AFTER, self._write_again, change)

        self._submit(change=change).future.add_done_callback(try_again)

    def _write_again(self, change: Callable[[Transaction], None]) -> None:
        if not self._is_closing:
            self.write_soon(change)

    def _submit(self, **parts: Any) -> Job:
        if self._thread_ended is None or self._is_closing or self._loop is None:
            raise EngineUnreachable(f"{self.path}: not open (or closed already); await engine.broker.open() first")
        job = Job(self._loop.create_future(), **parts)
        self._under_way.add(job.future)
        job.future.add_done_callback(self._under_way.discard)
        self._jobs.append(job)
        self._rouse()
        return job

    async def _ask(self, **parts: Any) -> Any:
        job = self._submit(**parts)
        try:
            answer = await job.future
        except asyncio.CancelledError:
            if job.future.done() and not job.future.cancelled() and job.undo and not job.error:
                job.undo(job.answer)
            raise
        return answer[0] if job.change is None else answer

    def _rouse(self) -> None:
        with self._guard:
            if self._is_idle:
                self._is_idle = False
                self._wake.release()

    # In the thread

    def _serve(self, opened: asyncio.Future[None]) -> None:
        # A local variable, on purpose: in a forked child this frame is never left, so the inherited connection is never
        # closed there, which would take the parent's locks with it.
        try:
            connection = connect(self.path, self._options)
            self._identity = identity(self.path)
        except Exception as error:
            self._call_loop(_set, opened, None, mapped(error, self.path))
            return
        self._call_loop(_set, opened, None, None)
        while jobs := self._next_jobs():
            try:
                self._serve_jobs(connection, jobs)
            except Exception as error:  # a defect of ours, of which whoever waits must hear
                for job in jobs:
                    job.error = job.error or error
                self._call_loop(self._deliver, jobs, ())
        connection.close()
        self._call_loop(_set, self._thread_ended, None, None)

    def _next_jobs(self) -> list[Job]:
        """What has piled up, or the first job to come; empty when the end has come."""
        while True:
            with self._guard:
                jobs = [self._jobs.popleft() for _ in range(min(len(self._jobs), JOBS_A_COMMIT))]
                if jobs or self._is_closing:
                    return jobs
                self._is_idle = True
            self._wake.acquire()

    def _serve_jobs(self, connection: sqlite3.Connection, jobs: list[Job]) -> None:
        looked: list[Job] = []
        writes: list[Job] = []
        for job in jobs:
            if job.look is not None:
                self._look(connection, job)
            is_over = job.change is None or job.answer is not None or job.error is not None or job.future.cancelled()
            (looked if is_over else writes).append(job)
        if looked:
            self._call_loop(self._deliver, looked, ())
        if writes:
            rings = self._write(connection, writes)
            self._call_loop(self._deliver, writes, rings)
            self._ring_others(rings)

    def _look(self, connection: sqlite3.Connection, job: Job) -> None:
        look = job.look
        assert look is not None
        try:
            job.answer = self._patiently(lambda: look(connection))
        except Exception as error:
            job.error = mapped(error, self.path)

    def _write(self, connection: sqlite3.Connection, jobs: Sequence[Job]) -> Collection[Ring]:
        """All jobs in one transaction, or each in its own."""
        try:
            return self._commit(connection, jobs)
        except Exception:
            rings: set[Ring] = set()
        for job in jobs:
            try:
                rings.update(self._commit_alone(connection, job))
            except Exception as error:
                job.error = mapped(error, self.path)
        return rings

    def _commit_alone(self, connection: sqlite3.Connection, job: Job) -> Collection[Ring]:
        try:
            return self._commit(connection, [job])
        except Recount:  # another process was quicker since the first try; now it takes care
            return self._commit(connection, [job])

    def _commit(self, connection: sqlite3.Connection, jobs: Sequence[Job]) -> Collection[Ring]:
        self._patiently(lambda: connection.execute("BEGIN IMMEDIATE"))
        transaction = Transaction(connection)
        try:
            self._refuse_lost_file()
            answers = [job.change(transaction) for job in jobs if job.change]
            connection.execute("COMMIT")
        except BaseException:
            # Some errors, a full disk among them, have rolled back already.
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        for job, answer in zip(jobs, answers, strict=True):
            job.answer = answer
        for call in transaction.after_commit:
            call()
        return transaction.rings

    def _refuse_lost_file(self) -> None:
        """What is written to a file that lost its name is lost with the process."""
        if identity(self.path) != self._identity:
            raise EngineUnreachable(
                f"{self.path}: was removed or replaced while it was open; nothing more is accepted into the old file. "
                "Restart this process to use the new one"
            )

    def _patiently(self, attempt: Callable[[], T]) -> T:
        """Try until the lock is free, for as long as the options allow."""
        deadline = time.monotonic() + self._options.busy_timeout
        nap = lock()
        nap.acquire()
        while True:
            try:
                return attempt()
            except sqlite3.OperationalError as error:
                if not is_busy(error) or time.monotonic() >= deadline:
                    raise
            # Writers hold the lock for about a millisecond; SQLite's own handler sleeps up to 100 ms between attempts.
            nap.acquire(timeout=random.uniform(0.0002, 0.002))

    def _call_loop(self, call: Callable[..., None], *arguments: Any) -> None:
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(call, *arguments)
        except RuntimeError:
            if not self._loop.is_closed():  # with the loop went everybody who waited
                raise

    # On the loop

    def _deliver(self, jobs: Sequence[Job], rings: Collection[Ring]) -> None:
        for job in jobs:
            if not job.future.done():
                _set(job.future, job.answer, job.error)
            elif job.undo and not job.error and job.answer is not None:
                job.undo(job.answer)
        self._ring_here(rings)


def _set(future: asyncio.Future[Any], answer: Any, error: Exception | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(answer)


def _ring_nobody(_: Collection[Ring]) -> None:
    """Before the engine hangs up its bell."""
