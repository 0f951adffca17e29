"""Read by mypy in test_typing.py, never run. A line that ends in `# refused` must be flagged, every other must not."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, assert_type

from polypool import AsyncResult, GroupResult, Polypool, Task
from polypool.testing import captured, run_in_place


@asynccontextmanager
async def lifespan(app: Polypool) -> AsyncIterator[dict[str, int]]:
    yield {}


@contextmanager
def session(call: Any) -> Iterator[None]:
    yield


app = Polypool("typed", broker="memory://", lifespan=lifespan, middleware=[session], queue="q", result_ttl=60)


@app.task
async def vision(url: str, size: int = 1) -> dict[str, float]:
    return {}


@app.task
def rule(label: dict[str, float]) -> str:
    return ""


@app.task(pool="prefork", timeout=60, autoretry_for=(OSError,))
def shrink(path: str, *, quality: int) -> bytes:
    return b""


@app.task(queue="fast")
async def answer(text: str) -> int:
    return 1


@app.task(bind=True, max_retries=3)
def bound(self: Any, n: int) -> float:
    return 1.0


@app.task(bind=True)
async def abound(self: Any, n: int) -> float:
    return 1.0


def sending() -> None:
    assert_type(vision.delay("u"), AsyncResult[dict[str, float]])
    assert_type(vision.delay("u", size=2).get(), dict[str, float])
    assert_type(rule.delay({}).get(timeout=5), str)
    assert_type(shrink.delay("p", quality=3).get(), bytes)
    assert_type(bound.delay(1).get(), float)
    assert_type(abound.delay(1).get(), float)
    assert_type(rule({}), str)
    assert_type(rule.map([{}]), GroupResult[str])
    assert_type(rule.map([{}]).get(), list[str])
    assert_type(rule.map([{}]).get(raise_errors=False), list[str | Exception])
    assert_type(rule.map([{}])[0], AsyncResult[str])
    assert_type(shrink.apply_async(("p",), {"quality": 1}, countdown=5, queue="x", priority=1).id, str)
    vision.delay(5)  # refused
    vision.delay()  # refused
    vision.delay("u", colour="red")  # refused
    vision.delay("u", "large")  # refused
    shrink.delay("p", 3)  # refused
    shrink.delay("p")  # refused
    bound.delay("x")  # refused
    abound.delay()  # refused
    rule("text")  # refused
    rule.apply_async(({},), count_down=5)  # refused
    rule.apply_async(({},), countdown="soon")  # refused
    rule.map([{}], priority="high")  # refused


async def asending() -> None:
    assert_type(await vision("u"), dict[str, float])
    assert_type(await vision.adelay("u"), AsyncResult[dict[str, float]])
    assert_type(await (await vision.adelay("u")), dict[str, float])
    assert_type(await (await answer.adelay("t")).aget(), int)
    assert_type(await (await answer.amap(["t"])), list[int])
    async for value in await answer.amap(["t"]):
        assert_type(value, int)
    for done in (await answer.amap(["t"])).as_completed():
        assert_type(done, AsyncResult[int])
    await vision.adelay(5)  # refused
    await answer.adelay()  # refused
    await answer.aapply_async(("t",), prioritet=1)  # refused


def inside(connection: object) -> None:
    assert_type(vision.using(connection).delay("u", size=2), AsyncResult[dict[str, float]])
    assert_type(rule.using(connection).apply_async(({},), countdown=5).get(), str)
    assert_type(rule.using(connection).map([{}], priority=1), GroupResult[str])
    assert_type(bound.using(connection).delay(1).get(), float)
    vision.using(connection).delay(5)  # refused
    vision.using(connection).delay()  # refused
    rule.using(connection).apply_async(({},), count_down=5)  # refused
    rule.using()  # refused
    rule.using(connection)({})  # refused


async def ainside(connection: object) -> None:
    assert_type(await vision.using(connection).adelay("u"), AsyncResult[dict[str, float]])
    assert_type(await answer.using(connection).aapply_async(("t",), queue="q"), AsyncResult[int])
    assert_type(await answer.using(connection).amap(["t"]), GroupResult[int])
    await answer.using(connection).adelay(5)  # refused
    await answer.using(connection).amap(["t"], prioritet=1)  # refused


def declaring() -> None:
    app.task(max_retry=3)  # refused
    app.task(timeout="long")  # refused
    app.task(autoretry_for=("OSError",))  # refused
    Polypool("x", quue="q")  # refused
    Polypool("x", retry_jitter="yes")  # refused


def telling_types(task: Task[[str], Any, int]) -> None:
    assert_type(task.delay("x").get(), int)
    task.delay(1)  # refused


def in_tests() -> None:
    with run_in_place(app) as place:
        assert_type(place.now, float)
        place.advance("5")  # refused
    with captured(app) as sent:
        assert_type(sent[0].args, tuple[Any, ...])
        assert_type(sent.of(rule)[0].task, str)
