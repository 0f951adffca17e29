"""AsyncResult: how it stands, waiting for it, watching it, cancelling it."""

import asyncio
import threading
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from polypool import (
    AsyncResult,
    Emitted,
    Ended,
    Polypool,
    Progress,
    ResultUnknown,
    SoftTimeout,
    Started,
    State,
    TaskCancelled,
    TaskExpired,
    TaskFailed,
    TaskLost,
    TimeLimitExceeded,
    WaitInsideTask,
)
from polypool.core.codec import encode
from polypool.core.outcome import Dead, Done, Failed, Failure, TimedOut
from polypool.core.running import running
from tests.unit.by_hand import EngineByHand, wait_until


@dataclass
class Label:
    name: str


@pytest.fixture
def engine() -> EngineByHand:
    return EngineByHand()


@pytest.fixture
def app(engine: EngineByHand) -> Iterator[Polypool]:
    app = Polypool("unit", broker=engine)

    @app.task(name="look")
    def look(url: str) -> Label:
        return Label(url)

    yield app
    app.close()


@pytest.fixture
def sent(app: Polypool) -> AsyncResult[Any]:
    return app.tasks["look"].delay("x")


def test_the_status_follows_the_task(engine: EngineByHand, sent: AsyncResult[Any], app: Polypool) -> None:
    assert sent.status == "queued"
    assert not sent.ready()
    (delivery,) = engine.take()
    assert sent.status is State.RUNNING
    engine.end(delivery, Done(encode({"name": "x"})))
    assert (sent.status, sent.ready()) == ("succeeded", True)
    assert app.tasks["look"].apply_async(("y",), countdown=60).status == "scheduled"


def test_get_waits_and_returns_what_the_annotation_says(engine: EngineByHand, sent: AsyncResult[Any]) -> None:
    got: list[Any] = []
    waiter = threading.Thread(target=lambda: got.append(sent.get(timeout=60)))
    waiter.start()
    (delivery,) = engine.take()
    engine.end(delivery, Done(encode({"name": "cat"})))
    waiter.join(60)
    assert got == [Label("cat")]
    assert sent.get() == Label("cat")


async def test_await_is_the_same_as_aget(engine: EngineByHand, app: Polypool) -> None:
    result = await app.tasks["look"].adelay("x")
    waiting = asyncio.ensure_future(asyncio.gather(result, result.aget(timeout=60)))
    (delivery,) = await asyncio.to_thread(engine.take)
    await asyncio.to_thread(engine.end, delivery, Done(encode({"name": "cat"})))
    assert await waiting == [Label("cat"), Label("cat")]
    assert await result.astatus() == "succeeded"
    assert await result.aready()


def test_a_handle_made_from_an_id_knows_the_type_too(
    engine: EngineByHand, sent: AsyncResult[Any], app: Polypool
) -> None:
    engine.run_all(lambda url: {"name": url})
    assert app.result(sent.id).get() == Label("x")
    assert app.result(sent.id) == sent
    assert len({app.result(sent.id), sent}) == 1


def test_a_task_that_is_not_known_here_gives_plain_data(engine: EngineByHand, sent: AsyncResult[Any]) -> None:
    engine.run_all(lambda url: {"name": url})
    stranger = Polypool("other", broker=engine)
    stranger.use(sent._outlet.line)
    assert stranger.result(sent.id).get() == {"name": "x"}


def test_get_gives_up_in_time_and_says_how_the_task_stands(engine: EngineByHand, sent: AsyncResult[Any]) -> None:
    with pytest.raises(TimeoutError, match=r"still queued after 0.01 s: no worker has taken it; `polypool status`"):
        sent.get(timeout=0.01)
    engine.take()
    with pytest.raises(TimeoutError, match=r"still running after 0 s"):
        sent.get(timeout=0)


async def test_aget_gives_up_in_time(sent: AsyncResult[Any]) -> None:
    with pytest.raises(TimeoutError, match="still queued"):
        await sent.aget(timeout=0.01)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await sent


def test_an_id_that_nobody_sent_is_unknown(app: Polypool) -> None:
    nobody = app.result("never-sent")
    assert nobody.status == "unknown"
    for ask in (nobody.get, nobody.ready, lambda: list(nobody.events())):
        with pytest.raises(ResultUnknown, match="never-sent"):
            ask()
    assert nobody.cancel() is False


def test_a_failure_shows_the_traceback_from_the_worker(engine: EngineByHand, sent: AsyncResult[Any]) -> None:
    (delivery,) = engine.take()
    engine.end(delivery, Failed(Failure("shop.TooDark", "no light", 'File "shop.py", line 7, in look')))
    with pytest.raises(TaskFailed, match=rf"look {sent.id}: shop.TooDark: no light") as caught:
        sent.get()
    assert (caught.value.type, caught.value.task_id) == ("shop.TooDark", sent.id)
    shown = "".join(traceback.format_exception(caught.value))
    assert 'File "shop.py", line 7, in look' in shown


OURS = "polypool.core.error."


@pytest.mark.parametrize(
    ("outcome", "error"),
    [
        (TimedOut(5.0), TimeLimitExceeded),
        (Dead("unknown task"), TaskLost),
        (Failed(Failure(OURS + "TaskExpired", "too late")), TaskExpired),
        (Failed(Failure(OURS + "SoftTimeout", "20 s", "Traceback…")), SoftTimeout),
        (Failed(Failure(OURS + "RetryRequested", "gave up after 3 retries")), TaskFailed),
        # Raised by the task itself, about another task: this one has failed and was not cancelled.
        (Failed(Failure(OURS + "TaskCancelled", "sub-task", "Traceback…")), TaskFailed),
        (Failed(Failure(OURS + "no_such_name", "?", "")), TaskFailed),
        (Failed(Failure("ValueError", "")), TaskFailed),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_every_way_to_end_badly_has_its_error(
    engine: EngineByHand, sent: AsyncResult[Any], outcome: Any, error: type[Exception]
) -> None:
    (delivery,) = engine.take()
    engine.end(delivery, outcome)
    with pytest.raises(error) as caught:
        sent.get()
    assert type(caught.value) is error
    assert sent.id in str(caught.value)


def test_cancelling_ends_what_waits(sent: AsyncResult[Any]) -> None:
    assert sent.cancel() is True
    assert sent.cancel() is False
    assert sent.status == "cancelled"
    with pytest.raises(TaskCancelled):
        sent.get()


async def test_cancelling_can_be_awaited(sent: AsyncResult[Any]) -> None:
    assert await sent.acancel() is True
    assert await sent.acancel() is False


def test_events_come_as_they_are_told_and_end_with_the_ending(engine: EngineByHand, sent: AsyncResult[Any]) -> None:
    seen: list[Any] = []
    watcher = threading.Thread(target=lambda: seen.extend(sent.events()))
    watcher.start()
    (delivery,) = engine.take()
    engine.tell(delivery, 1, "progress", [1, 3, "one"])
    engine.tell(delivery, 2, "emit", {"token": "a"})
    engine.tell(delivery, 3, "started", 2)
    engine.end(delivery, Done(encode(None)))
    watcher.join(60)
    assert [type(event) for event in seen] == [Progress, Emitted, Started, Ended]
    progress, emitted, started, ended = seen
    assert (progress.done, progress.total, progress.note) == (1, 3, "one")
    assert emitted.data == {"token": "a"}
    assert started.attempt == 2
    assert (ended.state, ended.id) == (State.SUCCEEDED, started.id)
    assert ended.at > 0


async def test_events_can_be_taken_up_again_after_the_last_one_seen(
    engine: EngineByHand, sent: AsyncResult[Any]
) -> None:
    (delivery,) = await asyncio.to_thread(engine.take)
    for number in (1, 2, 3):
        await asyncio.to_thread(engine.tell, delivery, number, "emit", number)
    first = await anext(aiter(sent.aevents()))
    await asyncio.to_thread(engine.end, delivery, Done(encode(None)))
    rest = [event async for event in sent.aevents(after=first.id)]
    assert [event.data for event in rest if isinstance(event, Emitted)] == [2, 3]
    assert isinstance(rest[-1], Ended)
    again = [event async for event in sent.aevents(after=rest[-1].id)]
    assert again == [rest[-1]]


def test_a_task_that_waits_for_another_one_is_refused_unless_that_has_ended(
    engine: EngineByHand, sent: AsyncResult[Any]
) -> None:
    token = running.set(object())  # type: ignore[arg-type]  # that something runs is all that counts here
    try:
        with pytest.raises(WaitInsideTask, match="await result"):
            sent.get()
        engine.run_all(lambda url: {"name": url})
        assert sent.get() == Label("x")
    finally:
        running.reset(token)


def test_an_abandoned_wait_leaves_the_line_usable(engine: EngineByHand, sent: AsyncResult[Any]) -> None:
    for _ in range(50):
        with pytest.raises(TimeoutError):
            sent.get(timeout=0)
    engine.run_all(lambda url: {"name": url})
    wait_until(sent.ready)
