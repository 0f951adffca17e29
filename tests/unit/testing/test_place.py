"""run_in_place: a user's test runs tasks here, sees what was sent and moves the clock."""

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from polypool import (
    ArgumentError,
    ConfigurationError,
    Emitted,
    Ended,
    NotEncodable,
    Polypool,
    Progress,
    TaskExpired,
    TaskFailed,
    WaitInsideTask,
    current,
)
from polypool.testing import run_in_place

log: list[Any] = []
tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="none")
app = Polypool("shop", broker="nowhere://never-opened")


@pytest.fixture(autouse=True)
def _empty_log() -> None:
    log.clear()


@app.task
def add(x: int, y: int = 0) -> int:
    log.append((x, y))
    return x + y


@app.task
async def double(x: int) -> int:
    await asyncio.sleep(0)
    return 2 * x


@app.task
async def parent(x: int) -> int:
    result = await double.adelay(x)
    return await result + 1


@app.task
def sync_parent(x: int) -> str:
    result = add.delay(x)
    log.append("parent goes on")
    return result.id


@app.task
def impatient(x: int) -> int:
    return add.delay(x).get()


@app.task(max_retries=2, retry_backoff=10, autoretry_for=(ConnectionError,))
def flaky(fails: int) -> int:
    log.append(current.attempt)
    if current.attempt <= fails:
        raise ConnectionError("down")
    return current.attempt


@app.task(retry_backoff=1)
async def asks_again() -> int:
    if current.attempt == 1:
        raise current.retry(countdown=5)
    return current.attempt


@app.task
def breaks() -> None:
    raise ValueError("bad input")


@app.task
def tells() -> None:
    current.progress(1, 2, "half")
    current.emit({"token": "a"})


@app.task
def returns_itself() -> Any:
    return object()


@app.task
def runs_a_loop() -> int:
    async def inner() -> int:
        return 7

    return asyncio.run(inner())


def test_what_is_sent_runs_here_and_its_result_is_there() -> None:
    with run_in_place(app):
        result = add.delay(1, y=2)
        assert log == [(1, 2)]
        assert result.status == "succeeded"
        assert result.get() == 3
        assert double.delay(4).get() == 8


async def test_an_async_test_awaits_as_in_production() -> None:
    async with run_in_place(app):
        result = await double.adelay(4)
        assert await result == 8
        assert await (await add.adelay(1, 2)) == 3
        assert await (await parent.adelay(1)) == 3
        assert await (await double.amap(range(3))) == [0, 2, 4]


async def test_code_under_an_async_test_may_send_blocking_too() -> None:
    async with run_in_place(app):
        assert add.delay(1, 2).get() == 3
        assert double.delay(2).get() == 4


def test_sub_tasks_run_when_their_sender_is_over_or_awaits_them() -> None:
    with run_in_place(app):
        id = sync_parent.delay(5).get()
        assert log == ["parent goes on", (5, 0)]
        assert app.result(id).get() == 5
        assert parent.delay(1).get() == 3


def test_a_blocking_wait_inside_a_task_is_refused_as_in_a_worker() -> None:
    with run_in_place(app), pytest.raises(WaitInsideTask):
        impatient.delay(1).get()


def test_a_plain_task_may_run_a_loop_of_its_own() -> None:
    with run_in_place(app):
        assert runs_a_loop.delay().get() == 7


async def test_a_plain_task_may_run_a_loop_of_its_own_in_an_async_test_too() -> None:
    async with run_in_place(app):
        assert await (await runs_a_loop.adelay()) == 7


def test_a_countdown_waits_for_the_clock() -> None:
    with run_in_place(app) as place:
        result = add.apply_async((1,), countdown=60)
        assert (result.status, log) == ("scheduled", [])
        with pytest.raises(TimeoutError, match=r"due in 60 s; place\.advance\(60\) runs it"):
            result.get(timeout=5)
        place.advance(59)
        assert result.status == "scheduled"
        place.advance(1)
        assert result.get() == 1


async def test_an_async_test_moves_the_clock_too() -> None:
    async with run_in_place(app) as place:
        result = await double.aapply_async((1,), countdown=60)
        with pytest.raises(TimeoutError, match="due in 60 s"):
            await result
        await place.aadvance(60)
        assert await result == 2


def test_retries_wait_their_backoff_and_count() -> None:
    with run_in_place(app) as place:
        result = flaky.delay(2)
        place.advance(9.9)
        assert log == [1]
        place.advance(0.1)
        assert log == [1, 2]
        place.advance(20)
        assert (log, result.get()) == ([1, 2, 3], 3)


def test_one_long_step_of_the_clock_runs_everything_on_the_way_in_order() -> None:
    with run_in_place(app) as place:
        begun = place.now
        late, soon = (add.apply_async((n,), countdown=n) for n in (30, 20))
        result = flaky.delay(2)
        place.advance(3600)
        assert log == [1, 2, (20, 0), (30, 0), 3]
        assert place.now == begun + 3600
        assert [one.get() for one in (late, soon, result)] == [30, 20, 3]


def test_a_task_that_gives_up_raises_its_last_error() -> None:
    with run_in_place(app) as place:
        result = flaky.delay(9)
        place.advance(3600)
        with pytest.raises(TaskFailed, match="ConnectionError: down"):
            result.get()
        assert log == [1, 2, 3]


def test_a_task_can_ask_to_run_again() -> None:
    with run_in_place(app) as place:
        result = asks_again.delay()
        place.advance(5)
        assert result.get() == 2


def test_what_came_too_late_is_expired() -> None:
    with run_in_place(app) as place:
        result = add.apply_async((1,), countdown=10, expires=5)
        place.advance(10)
        with pytest.raises(TaskExpired):
            result.get()
        assert log == []


def test_results_are_forgotten_after_their_time_to_live() -> None:
    with run_in_place(app) as place:
        result = add.apply_async((1,), result_ttl=60)
        place.advance(61)
        assert app.result(result.id).status == "unknown"


def test_a_failure_raises_at_get_with_its_traceback() -> None:
    with run_in_place(app):
        result = breaks.delay()
        assert result.status == "failed"
        with pytest.raises(TaskFailed, match="ValueError: bad input") as caught:
            result.get()
        assert "test_place.py" in caught.value.traceback


def test_a_failure_can_raise_where_it_was_sent() -> None:
    with run_in_place(app, raise_errors=True), pytest.raises(TaskFailed, match="bad input"):
        breaks.delay()


def test_a_result_without_a_form_fails_as_in_a_worker() -> None:
    with run_in_place(app), pytest.raises(NotEncodable, match="returns_itself"):
        returns_itself.delay().get()


def test_wrong_arguments_fail_as_in_production() -> None:
    with run_in_place(app), pytest.raises(ArgumentError, match="x: expected `int`"):
        add.delay("1")  # type: ignore[arg-type]


def test_progress_and_events_can_be_seen() -> None:
    with run_in_place(app):
        progress, emitted, ended = tells.delay().events()
    assert isinstance(progress, Progress)
    assert (progress.done, progress.total, progress.note) == (1, 2, "half")
    assert isinstance(emitted, Emitted)
    assert emitted.data == {"token": "a"}
    assert isinstance(ended, Ended)


def test_everything_sent_is_on_record_with_its_options() -> None:
    with run_in_place(app) as place:
        sync_parent.apply_async((5,), queue="fast", priority=3)
        first, second = place.sent
    assert (first.task, first.args, first.queue, first.priority) == (sync_parent.name, (5,), "fast", 3)
    assert (second.task, second.args, second.parent) == (add.name, (5,), first.id)


def test_many_are_run_and_gathered() -> None:
    with run_in_place(app):
        group = add.map(range(2500))
        assert group.get() == list(range(2500))
        assert {result.get() for result in group.as_completed()} == set(range(2500))
        assert group.completed_count == 2500


def test_higher_priorities_go_first_when_several_are_due() -> None:
    with run_in_place(app) as place:
        for priority in (1, 9, 5):
            add.apply_async((priority,), countdown=10, priority=priority)
        place.advance(10)
    assert log == [(9, 0), (5, 0), (1, 0)]


def test_what_waits_can_be_cancelled() -> None:
    with run_in_place(app) as place:
        result = add.apply_async((1,), countdown=10)
        assert result.cancel()
        place.advance(10)
        assert (result.status, log) == ("cancelled", [])


def test_a_task_that_sends_itself_for_ever_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("polypool.testing.runner.MOST_RUNS", 50)
    own = Polypool("own", broker="nowhere://")

    @own.task(name="again")
    def again() -> None:
        again.delay()

    with run_in_place(own), pytest.raises(RuntimeError, match="no end"):
        again.delay()


def test_the_app_is_as_before_afterwards() -> None:
    line, now = app.outlet.line, app.outlet.now
    with contextlib.suppress(ZeroDivisionError), run_in_place(app):
        raise ZeroDivisionError
    assert (app.outlet.line, app.outlet.now) == (line, now)


def test_lifespan_and_middleware_go_around_as_in_a_worker() -> None:
    seen: list[Any] = []

    @contextlib.contextmanager
    def lifespan(app: Polypool) -> Iterator[dict[str, int]]:
        seen.append("open")
        token = tenant.set("acme")
        yield {"client": 1}
        tenant.reset(token)
        seen.append("close")

    @contextlib.contextmanager
    def session(call: Any) -> Iterator[None]:
        seen.append(f"before {call.message.task}")
        yield
        seen.append("after")

    own = Polypool("own", broker="nowhere://", lifespan=lifespan, middleware=[session])

    @own.task(name="look")
    def look() -> tuple[Any, str]:
        seen.append("run")
        return current.state, tenant.get()

    with run_in_place(own):
        assert look.delay().get() == ({"client": 1}, "acme")
    assert seen == ["open", "before look", "run", "after", "close"]


@contextlib.asynccontextmanager
async def client_lifespan(app: Polypool) -> AsyncIterator[Any]:
    loop = asyncio.get_running_loop()
    log.append("open")
    yield loop
    assert loop is asyncio.get_running_loop()
    log.append("close")


def with_client() -> Polypool:
    own = Polypool("own", broker="nowhere://", lifespan=client_lifespan)

    @own.task(name="look")
    async def look() -> bool:
        return current.state is asyncio.get_running_loop()

    return own


def test_an_async_lifespan_shares_its_loop_with_the_tasks() -> None:
    own = with_client()
    with run_in_place(own):
        assert own.tasks["look"].delay().get() is True
    assert log == ["open", "close"]


async def test_an_async_lifespan_shares_the_loop_of_an_async_test() -> None:
    own = with_client()
    async with run_in_place(own):
        assert await (await own.tasks["look"].adelay()) is True
    assert log == ["open", "close"]


async def test_an_async_lifespan_under_a_blocking_with_in_a_loop_is_refused_with_words() -> None:
    with pytest.raises(ConfigurationError, match="async with run_in_place"), run_in_place(with_client()):
        pass


@pytest.fixture
def place() -> Iterator[Any]:
    with run_in_place(app) as place:
        yield place


async def test_a_plain_fixture_serves_an_async_test(place: Any) -> None:
    assert await (await double.adelay(1)) == 2
    assert len(place.sent) == 1


def test_tasks_run_in_the_thread_of_the_test() -> None:
    own = Polypool("own", broker="nowhere://")

    @own.task(name="where")
    def where() -> int:
        return threading.get_ident()

    with run_in_place(own):
        assert where.delay().get() == threading.get_ident()
