"""max_pending: a sender that holds back while too many of its tasks have not ended."""

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

import pytest

from polypool import ConfigurationError, EngineUnreachable, Polypool, WaitInsideTask
from polypool.core.codec import encode
from polypool.core.event import Record
from polypool.core.message import Message
from polypool.core.outcome import Done
from polypool.core.running import running
from polypool.progress_bar import Meter
from polypool.sending.pending import WINDOW
from polypool.testing import captured, run_in_place
from tests.unit.by_hand import wait_until
from tests.unit.by_workers import CountingEngine, workers


@pytest.fixture
def engine() -> CountingEngine:
    return CountingEngine()


@pytest.fixture
def app(engine: CountingEngine) -> Iterator[Polypool]:
    app = Polypool("unit", broker=engine)

    @app.task(name="double")
    def double(n: int) -> int:
        return 2 * n

    yield app
    app.close()


def double(n: int) -> int:
    return 2 * n


@contextlib.contextmanager
def started(function: Callable[[], Any]) -> Iterator[list[Any]]:
    """Run it in a thread; what it returned or raised."""
    ended: list[Any] = []

    def run() -> None:
        try:
            ended.append(function())
        except BaseException as error:
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield ended
    finally:
        thread.join(60)
        assert not thread.is_alive()


@pytest.mark.parametrize("most", [1, 2, 7, 100, 3000])
def test_there_are_never_more_than_may_be(engine: CountingEngine, app: Polypool, most: int) -> None:
    count = 40 if most < 10 else 5000
    with workers(engine, double, at_once=max(most // 3, 1)):
        group = app.tasks["double"].map(range(count), max_pending=most)
        assert group.get(timeout=60) == [2 * n for n in range(count)]
    assert engine.most_unended <= most
    assert engine.most_unended >= most // 2


def test_they_are_sent_in_batches_all_the_same(engine: CountingEngine, app: Polypool) -> None:
    with workers(engine, double, at_once=200):
        app.tasks["double"].map(range(4000), max_pending=400)
    assert len(engine.puts) <= 41


def test_without_a_bound_nothing_is_waited_for(engine: CountingEngine, app: Polypool) -> None:
    app.tasks["double"].map(range(2500))
    assert engine.unended == 2500


async def test_the_awaited_twins_hold_back_too_and_let_others_run(engine: CountingEngine, app: Polypool) -> None:
    async def numbers() -> AsyncIterator[int]:
        for n in range(300):
            yield n

    task = app.tasks["double"]
    sending = asyncio.create_task(task.amap(numbers(), max_pending=20))
    while engine.unended < 20:
        await asyncio.sleep(0.001)
    with workers(engine, double):
        group = await sending
        assert await group == [2 * n for n in range(300)]
        await (await task.astarmap([(n,) for n in range(50)], max_pending=20))
        await (await app.asend_many([(task, (n,)) for n in range(50)], max_pending=20))
    assert engine.most_unended == 20


def test_every_way_to_send_many_holds_back(engine: CountingEngine, app: Polypool) -> None:
    task = app.tasks["double"]
    with workers(engine, double):
        app.send_many([(task, (n,)) for n in range(50)], max_pending=20).get(timeout=60)
        task.starmap([(n,) for n in range(50)], max_pending=20).get(timeout=60)
    assert engine.most_unended == 20


def test_one_slow_task_does_not_keep_the_others_place(engine: CountingEngine, app: Polypool) -> None:
    """With three of four places held, the rest goes through the fourth."""
    app.open()
    with started(lambda: app.tasks["double"].map(range(40), max_pending=4)) as ended:
        wait_until(lambda: engine.unended == 4)
        stuck = engine.take(3)
        with workers(engine, double):
            wait_until(lambda: bool(ended))
        for delivery in stuck:
            engine.end(delivery, Done(encode(0)))
    assert len(ended[0]) == 40


def test_tasks_that_never_end_leave_the_rest_its_turn(engine: CountingEngine, app: Polypool) -> None:
    """All that is looked at with one ask hang; what was sent after them is seen to end."""
    app.open()
    with started(lambda: app.tasks["double"].map(range(3 * WINDOW), max_pending=WINDOW + 200)) as ended:
        wait_until(lambda: len(engine.messages) >= WINDOW)
        stuck = engine.take(WINDOW)
        with workers(engine, double, at_once=100):
            wait_until(lambda: bool(ended))
        for delivery in stuck:
            engine.end(delivery, Done(encode(0)))
    assert len(ended[0]) == 3 * WINDOW


def test_what_nobody_knows_any_more_counts_as_ended(engine: CountingEngine, app: Polypool) -> None:
    with workers(engine, double):
        app.tasks["double"].map(range(30), max_pending=4, result_ttl=0)
    assert engine.most_unended <= 4


def test_sending_the_same_again_waits_for_nothing_that_ended(engine: CountingEngine, app: Polypool) -> None:
    task = app.tasks["double"]
    with workers(engine, double):
        task.map(range(50), max_pending=10, task_id="again").get(timeout=60)
    assert len(task.map(range(50), max_pending=10, task_id="again")) == 50
    assert engine.unended == 0


def test_without_a_worker_it_waits_and_says_so(
    engine: CountingEngine, app: Polypool, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(Meter, "waits", lambda self, why: told.append(why))
    with started(lambda: app.tasks["double"].map(range(30), max_pending=10)) as ended:
        wait_until(lambda: bool(told))
        assert ended == []
        assert told[0] == "waiting for a worker, 10 have not ended"
        assert engine.unended == 10
        with workers(engine, double):
            wait_until(lambda: bool(ended))
    assert len(ended[0]) == 30


def test_a_slow_worker_is_told_from_none(
    engine: CountingEngine, app: Polypool, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(Meter, "waits", lambda self, why: told.append(why))
    app.open()
    with started(lambda: app.tasks["double"].map(range(12), max_pending=10)):
        wait_until(lambda: engine.unended == 10)
        (slow,) = engine.take(1)
        wait_until(lambda: bool(told))
        engine.end(slow, Done(encode(0)))
        with workers(engine, double):
            wait_until(lambda: engine.unended == 0)
    assert told[0] == "waiting, 10 have not ended"


class FlickeringEngine(CountingEngine):
    """Away at every third call that a sender makes; what it was asked to put may have been written all the same."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    async def put(self, messages: Sequence[Message]) -> list[bool]:
        self.calls += 1
        if self.calls % 6 == 0:
            await super().put(messages)
        self._flicker()
        return await super().put(messages)

    async def wait(self, ids: Sequence[str], wait: float) -> list[Record]:
        self.calls += 1
        self._flicker()
        return await super().wait(ids, wait)

    def _flicker(self) -> None:
        if self.calls % 3 == 0:
            raise EngineUnreachable("away")


@pytest.fixture
def flickering(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[FlickeringEngine, Polypool]]:
    monkeypatch.setattr("polypool.sending.pending.FIRST_PAUSE_S", 0.001)
    engine = FlickeringEngine()
    app = Polypool("flickering", broker=engine)
    app.task(name="double")(double)
    yield engine, app
    app.close()


async def test_one_that_is_held_back_goes_on_when_the_engine_was_away(
    flickering: tuple[FlickeringEngine, Polypool],
) -> None:
    engine, app = flickering
    with workers(engine, double):
        await app.tasks["double"].amap(range(200), max_pending=20)
        await asyncio.to_thread(lambda: app.tasks["double"].map(range(200), max_pending=20))
        await asyncio.to_thread(wait_until, lambda: engine.unended == 0)
    assert engine.most_unended <= 40
    assert len({message.id for message in engine.messages}) == 400


def test_an_engine_that_stays_away_ends_it(
    flickering: tuple[FlickeringEngine, Polypool], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, app = flickering
    monkeypatch.setattr("polypool.sending.pending.AWAY_S", 0.0)
    with pytest.raises(EngineUnreachable, match="away") as caught:
        app.tasks["double"].map(range(200), max_pending=20)
    assert "were sent before this" in caught.value.__notes__[0]


def test_ctrl_c_says_how_far_it_came(engine: CountingEngine, app: Polypool) -> None:
    def interrupt() -> None:
        wait_until(lambda: engine.waits > 0)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with started(interrupt), pytest.raises(KeyboardInterrupt) as caught:
            app.tasks["double"].map(range(100), max_pending=10)
            wait_until(lambda: False)  # pragma: no cover - it comes before
    finally:
        signal.signal(signal.SIGINT, before)
    assert "the first 10 were sent before this" in caught.value.__notes__[0]


async def test_one_that_is_given_up_says_so_too(engine: CountingEngine, app: Polypool) -> None:
    sending = asyncio.create_task(app.tasks["double"].amap(range(100), max_pending=10))
    while not engine.waits:
        await asyncio.sleep(0.001)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await sending
    assert "the first 10 were sent before this" in caught.value.__notes__[0]


@pytest.mark.parametrize("most", [0, -1, True, "10", 1.5])
def test_a_bound_that_is_none_is_refused(app: Polypool, most: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"max_pending=.* must be a whole number of tasks, at least 1"):
        app.tasks["double"].map([1], max_pending=most)


async def test_a_running_task_may_await_but_not_block(engine: CountingEngine, app: Polypool) -> None:
    token = running.set(object())  # type: ignore[arg-type]  # any task
    try:
        with pytest.raises(WaitInsideTask, match="await the twin"):
            app.tasks["double"].map([1], max_pending=1)
    finally:
        running.reset(token)


def test_in_a_test_it_runs_in_place_and_captured_it_says_that_nothing_will_end(app: Polypool) -> None:
    task = app.tasks["double"]
    with run_in_place(app):
        assert task.map(range(20), max_pending=3).get() == [2 * n for n in range(20)]
    with captured(app) as sent:
        assert len(task.map(range(3), max_pending=3)) == 3
        with pytest.raises(TimeoutError, match="nothing runs under captured"):
            task.map(range(20), max_pending=3)
    assert len(sent) == 6
