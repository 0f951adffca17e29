"""Read by mypy in test_typing.py, never run. A line that ends in `# refused` must be flagged, every other must not."""

from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, assert_type

from polypool import AsyncResult, GroupResult, Polypool, Signature, Task, chain, chord, group
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


@app.task
def counts(n: int) -> Generator[int, None, str]:
    yield n
    return ""


@app.task(queue="fast")
async def tokens(text: str) -> AsyncIterator[str]:
    yield text


@app.task(bind=True)
def letters(self: Any, text: str) -> Iterator[str]:
    yield text


def streaming() -> None:
    assert_type(counts.delay(1).get(), str)
    assert_type(counts(1), Generator[int, None, str])
    assert_type(tokens.delay("x"), AsyncResult[None])
    assert_type(tokens("x"), AsyncIterator[str])
    assert_type(letters.delay("x"), AsyncResult[Any])
    counts.delay("x")  # refused


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


@app.task
def total(numbers: list[int]) -> float:
    return 0.0


def composing() -> None:
    assert_type(answer.s("t"), Signature[int])
    assert_type(shrink.si("p", quality=3), Signature[bytes])
    assert_type(rule.signature(({},), queue="slow", immutable=True), Signature[str])
    assert_type(answer.s("t").set(queue="slow", countdown=5, on_success=rule.s()), Signature[int])
    assert_type(answer.s("t").link(rule.s()).link_error(rule.s()), Signature[int])
    assert_type(answer.s().delay("t"), AsyncResult[int])
    assert_type(vision.s("u") | rule.s(), chain[str])
    assert_type((vision.s("u") | rule.s() | answer.s()).delay().get(timeout=5), int)
    assert_type(chain(vision.s("u"), rule.s(), answer.s()).delay(), AsyncResult[int])
    assert_type(group(answer.s(text) for text in "ab"), group[int])
    assert_type(group(answer.s("a"), answer.s("b")).delay(), GroupResult[int])
    assert_type(group(answer.s("a")).set(priority=1).apply_async(countdown=5, max_pending=9).get(), list[int])
    assert_type(group(answer.s("a")) | total.s(), chord[float])
    assert_type((group(answer.s("a")) | total.s()).delay().get(), float)
    assert_type(chord([answer.s("a")], total.s()), chord[float])
    assert_type(chord(group(answer.s("a")), total.s()).delay(), AsyncResult[float])
    assert_type(chord([answer.s("a")])(total.s()).get(), float)
    assert_type(group(answer.s("a")) | group(total.s(), total.s()), chain[list[float]])
    both = group(total.s(), total.s())
    assert_type((answer.s("a") | both).delay().get(), list[float])
    assert_type(group.map(answer, ["a"]), group[int])
    assert_type(group.chunks(answer, ["a"], 30).delay(), GroupResult[list[int]])
    assert_type(app.task(lambda: vision.s("u") | rule.s()).delay().get(), chain[str])
    shrink.si("p")  # refused
    shrink.si(5, quality=3)  # refused
    answer.s("t").set(quue="slow")  # refused
    answer.s("t").set(countdown="soon")  # refused
    answer.s("t").apply_async(prioritet=1)  # refused
    answer.s("t").link("rule")  # refused
    answer.s("t") | 5  # refused
    chain(answer.s("t"), 5)  # refused
    group([answer])  # refused
    chord([answer.s("a")], total)  # refused
    answer.apply_async(("t",), link=rule.s(), on_failure=[rule.s()])
    answer.apply_async(("t",), on_success=5)  # refused


async def acomposing(connection: object) -> None:
    assert_type(await (vision.s("u") | rule.s()).adelay(), AsyncResult[str])
    assert_type(await (await group(answer.s("a")).adelay()), list[int])
    assert_type(await (group(answer.s("a")) | total.s()).aapply_async(countdown=1), AsyncResult[float])
    assert_type((vision.s("u") | rule.s()).using(connection).delay(), AsyncResult[str])
    assert_type(await group(answer.s("a")).using(connection).adelay(), GroupResult[int])


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
