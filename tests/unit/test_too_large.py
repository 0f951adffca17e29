"""A task whose arguments are too large is refused before anything of it leaves the process."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from polypool import MessageTooLarge, Polypool
from polypool.sending.bulk import BATCH_COUNT

PLENTY = bytes(50_000_000)
WORDS = (
    r"store: these arguments are 50,000,\d{3} bytes and a message may have 16,777,216 \(16 MiB\), nothing was sent; "
    "store the data elsewhere and send where it is"
)


@pytest.fixture
def app(tmp_path: Path) -> Any:
    made = Polypool("large", broker=f"sqlite:///{tmp_path / 'tasks.db'}")
    yield made
    made.close()


@pytest.fixture
def store(app: Polypool) -> Any:
    @app.task(name="store")
    def store(data: bytes) -> None: ...

    return store


SENDS: dict[str, Callable[[Any], Any]] = {
    "delay": lambda task: task.delay(PLENTY),
    "by name": lambda task: task.delay(data=PLENTY),
    "apply_async": lambda task: task.apply_async((PLENTY,), countdown=5),
    "map": lambda task: task.map([PLENTY]),
}


@pytest.mark.parametrize("way", SENDS)
def test_fifty_megabytes_are_refused_with_the_limit(store: Any, way: str) -> None:
    with pytest.raises(MessageTooLarge, match=WORDS):
        SENDS[way](store)


async def test_fifty_megabytes_are_refused_with_the_limit_when_awaited(store: Any) -> None:
    with pytest.raises(MessageTooLarge, match=WORDS):
        await store.adelay(PLENTY)
    with pytest.raises(MessageTooLarge, match=WORDS):
        await store.amap([PLENTY])


def test_the_largest_that_may_be_is_sent_and_one_more_byte_is_not(store: Any) -> None:
    assert store.delay(bytes(16 * 1024 * 1024 - 1000)).status == "queued"
    with pytest.raises(MessageTooLarge, match="nothing was sent"):
        store.delay(bytes(16 * 1024 * 1024))


def test_a_map_that_comes_upon_one_says_how_many_were_sent_before_it(app: Polypool, store: Any) -> None:
    def items() -> Any:
        yield from [b"small"] * (BATCH_COUNT + 7)
        yield PLENTY
        yield from [b"never"] * BATCH_COUNT

    with pytest.raises(MessageTooLarge, match=WORDS) as caught:
        store.map(items(), task_id="mine", progress=False)
    notes = " ".join(caught.value.__notes__)
    assert "item 1,007" in notes and "the first 1,000 were sent" in notes
    known = [app.result(f"mine-{number}").status for number in (0, 999, 1000, 1006, 1007, 1008)]
    assert known == ["queued", "queued", *["unknown"] * 4]


async def test_an_awaited_map_says_the_same(store: Any) -> None:
    async def items() -> AsyncIterator[bytes]:
        for _ in range(BATCH_COUNT + 7):
            yield b"small"
        yield PLENTY

    with pytest.raises(MessageTooLarge, match=WORDS) as caught:
        await store.amap(items(), progress=False)
    assert "the first 1,000 were sent" in " ".join(caught.value.__notes__)
