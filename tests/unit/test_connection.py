"""Connection: what nobody waits for any more is let go, and opening belongs to all who ask, not to the first."""

import asyncio
import contextlib
import signal
import threading
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any

import pytest

from polypool import EngineUnreachable, native
from polypool.blocking import ClientLine
from polypool.core.ask import Await, Follow, Put
from polypool.core.event import Page, Record
from polypool.core.message import Message
from tests.unit.by_hand import EngineByHand, wait_until


class CountingEngine(EngineByHand):
    """Knows how many wait in it."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting = 0

    async def wait(self, ids: Sequence[str], wait: float) -> list[Record]:
        with self._counted():
            return list(await super().wait(ids, wait))

    async def follow(self, id: str, after: str | None, wait: float) -> Page:
        with self._counted():
            return await super().follow(id, after, wait)

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        self.waiting += 1
        try:
            yield
        finally:
            self.waiting -= 1


class SlowToOpen(EngineByHand):
    """Opens, or fails to, when the test lets it."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.attempts = 0
        self.gate = threading.Event()
        self._error = error

    async def open(self) -> None:
        self.attempts += 1
        await asyncio.to_thread(self.gate.wait, 10)
        if self._error is not None:
            raise self._error
        await super().open()


def message(id: str) -> Message:
    return Message(id, "t", b"")


@contextlib.contextmanager
def line_to(engine: Any) -> Iterator[ClientLine]:
    line = ClientLine(lambda: engine)
    try:
        yield line
    finally:
        line.close()


@pytest.mark.parametrize(
    ("ask", "at_engine"), [(Await(["1"], 60.0), 20), (Follow("1", None, 60.0), 1)], ids=["result", "events"]
)
async def test_a_cancelled_coroutine_leaves_no_waiter_at_the_engine(ask: Await | Follow, at_engine: int) -> None:
    engine = CountingEngine()
    with line_to(engine) as line:
        await line.ask(Put([message("1")]))

        async def wait() -> None:
            await line.ask(ask)

        waits = [asyncio.ensure_future(wait()) for _ in range(20)]
        while engine.waiting < at_engine:
            await asyncio.sleep(0.001)
        for one in waits:
            one.cancel()
        await asyncio.wait(waits)
        while engine.waiting:
            await asyncio.sleep(0.001)
        assert await line.ask(Put([message("2")])) == [True]


async def test_one_that_is_cancelled_before_its_wait_began_leaves_none_either() -> None:
    engine = CountingEngine()
    with line_to(engine) as line:
        await line.ask(Put([message("1")]))
        answers = [line.ask(Await(["1"], 60.0)) for _ in range(20)]
        for answer in answers:
            answer.give_up()
        await line.ask(Put([message("2")]))  # whatever was asked before has begun by now
        while engine.waiting:
            await asyncio.sleep(0.001)


def test_a_thread_that_is_interrupted_leaves_no_waiter_at_the_engine() -> None:
    """As gunicorn interrupts a worker that took too long: by an exception out of a signal."""
    engine = CountingEngine()

    has_interrupted = threading.Event()

    def interrupt(_: int, frame: FrameType | None) -> None:
        while frame is not None and frame.f_code is not native._park_thread.__code__:
            frame = frame.f_back
        if frame is not None and not has_interrupted.is_set():
            has_interrupted.set()
            raise SystemExit(1)

    def keep_signalling(thread: int) -> None:
        # To that very thread: a signal that another one takes does not end its wait for a lock.
        while not has_interrupted.wait(0.005):
            signal.pthread_kill(thread, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with line_to(engine) as line:
            assert line.ask(Put([message("1")])).result(10) == [True]
            answer = line.ask(Await(["1"], 60.0))
            wait_until(lambda: engine.waiting == 1)
            signalling = threading.Thread(target=keep_signalling, args=[threading.get_ident()])
            signalling.start()
            with pytest.raises(SystemExit):
                answer.result(30)
            signalling.join()
            wait_until(lambda: engine.waiting == 0)
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_wait_that_ran_into_its_timeout_may_be_taken_up_again() -> None:
    engine = CountingEngine()
    with line_to(engine) as line:
        line.ask(Put([message("1")])).result(60)
        answer = line.ask(Await(["1"], 60.0))
        with pytest.raises(TimeoutError):
            answer.result(0.01)
        engine.there(engine.cancel(["1"]))
        assert [record.id for record in answer.result(60)] == ["1"]


def test_a_send_that_nobody_waits_for_any_more_is_written_all_the_same() -> None:
    engine = SlowToOpen()
    with line_to(engine) as line:
        line.ask(Put([message("1")])).give_up()
        engine.gate.set()
        assert line.ask(Put([message("1")])).result(60) == [False]


def test_opening_goes_on_when_the_first_who_asked_gives_up() -> None:
    engine = SlowToOpen()
    with line_to(engine) as line:
        first = line.ask(Await(["1"], 60.0))
        wait_until(lambda: engine.attempts == 1)
        first.give_up()
        second = line.ask(Put([message("1")]))
        engine.gate.set()
        assert second.result(60) == [True]
        assert (engine.attempts, engine.times_opened) == (1, 1)


def test_all_who_wait_for_an_engine_out_of_reach_are_told_by_one_attempt() -> None:
    """Once each made an attempt of its own after the other: the fiftieth request waited fifty timeouts."""
    engine = SlowToOpen(EngineUnreachable("nobody there"))
    with line_to(engine) as line:
        answers = [line.ask(Await([str(n)], 0.0)) for n in range(50)]
        wait_until(lambda: engine.attempts == 1)
        engine.gate.set()
        for answer in answers:
            with pytest.raises(EngineUnreachable, match="nobody there"):
                answer.result(60)
        assert engine.attempts < 5
