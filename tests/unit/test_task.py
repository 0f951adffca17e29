"""Task: calling runs it here; sending puts a message with the right terms on the line."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from polypool import ArgumentError, DuplicateTask, NotEncodable, Polypool, UnknownOption
from polypool.core.ask import Ask, Put
from polypool.core.codec import decode_any
from polypool.core.message import Message
from polypool.core.running import running
from polypool.native import Answer
from polypool.sending.bulk import BATCH_BYTES, BATCH_COUNT, IN_FLIGHT


class Tray:
    """A Line that keeps what is sent. With `held`, answers come only when `release` is called."""

    def __init__(self, held: bool = False) -> None:
        self.batches: list[list[Message]] = []
        self.unanswered: list[tuple[Answer, int]] = []
        self._held = held
        self._known: set[str] = set()

    def ask(self, ask: Ask) -> Answer:
        assert isinstance(ask, Put)
        self.batches.append(ask.messages)
        answer = Answer()
        accepted = [message.id not in self._known for message in ask.messages]
        self._known.update(message.id for message in ask.messages)
        if self._held:
            self.unanswered.append((answer, len(accepted)))
        else:
            answer.set(accepted)
        return answer

    def release(self) -> None:
        while self.unanswered:
            answer, count = self.unanswered.pop()
            answer.set([True] * count)

    @property
    def messages(self) -> list[Message]:
        return [message for batch in self.batches for message in batch]


@pytest.fixture
def app() -> Polypool:
    return Polypool("unit", broker="memory://", expires=60)


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches are full by what is in them, however long a busy machine takes to fill them."""
    monkeypatch.setattr("polypool.sending.bulk.BATCH_AGE_S", 1e9)


@pytest.fixture
def tray(app: Polypool) -> Tray:
    tray = Tray()
    app.use(tray)
    return tray


def declare(app: Polypool) -> Any:
    @app.task(name="add", queue="sums", priority=2, timeout=9)
    def add(x: int, y: int = 0) -> int:
        """Adds."""
        return x + y

    return add


def test_calling_a_task_runs_the_function_here(app: Polypool) -> None:
    add = declare(app)
    assert add(1, y=2) == 3
    assert (add.__name__, add.__doc__, add.name) == ("add", "Adds.", "add")
    assert add("a", "b") == "ab", "a call is a plain call: nothing is checked"


async def test_calling_an_async_task_gives_its_coroutine(app: Polypool) -> None:
    @app.task
    async def double(x: int) -> int:
        return 2 * x

    assert await double(2) == 4


def test_a_bound_task_gets_itself_first(app: Polypool, tray: Tray) -> None:
    @app.task(bind=True, name="own")
    def own(self: Any, x: int) -> tuple[str, int]:
        return self.name, x

    assert own(1) == ("own", 1)
    own.delay(1)
    assert decode_any(tray.messages[0].args) == [[1], {}]


def test_delay_sends_with_the_tasks_own_terms(app: Polypool, tray: Tray) -> None:
    before = time.time()
    result = declare(app).delay(1, y=2)
    (message,) = tray.messages
    assert (message.id, message.task) == (result.id, "add")
    assert decode_any(message.args) == [[1], {"y": 2}]
    assert (message.queue, message.pool, message.priority) == ("sums", "threads", 2)
    assert (message.policy.timeout, message.due) == (9, None)
    assert before <= message.sent_at <= time.time()
    assert message.expires == message.sent_at + 60
    assert (message.parent, message.root) == (None, None)


async def test_every_way_to_send_has_an_awaited_twin(app: Polypool, tray: Tray) -> None:
    add = declare(app)
    first = await add.adelay(1)
    second = await add.aapply_async((1,), {"y": 1}, task_id="mine")
    group = await add.amap([1, 2])
    pairs = await add.astarmap([(1, 2)])
    many = await app.asend_many([(add, (1,)), (add, (1,), {"y": 5})])
    assert [message.id for message in tray.messages] == [
        first.id,
        second.id,
        group[0].id,
        group[1].id,
        pairs[0].id,
        many[0].id,
        many[1].id,
    ]


def test_options_of_a_send_hold_for_this_once(app: Polypool, tray: Tray) -> None:
    add = declare(app)
    add.apply_async(
        [1], {"y": 2}, countdown=5, expires=7, queue="slow", priority=9, task_id="mine", max_retries=0, timeout=None
    )
    add.delay(1)
    special, usual = tray.messages
    assert special.id == "mine"
    assert (special.due, special.expires) == (special.sent_at + 5, special.sent_at + 7)
    assert (special.queue, special.priority) == ("slow", 9)
    assert (special.policy.max_retries, special.policy.timeout) == (0, None)
    assert (usual.queue, usual.policy.timeout, usual.policy.max_retries) == ("sums", 9, 3)


def test_an_unknown_send_option_is_refused(app: Polypool, tray: Tray) -> None:
    with pytest.raises(UnknownOption, match="did you mean countdown"):
        declare(app).apply_async((1,), count_down=5)
    assert tray.messages == []


def test_arguments_given_as_a_string_are_refused(app: Polypool, tray: Tray) -> None:
    with pytest.raises(TypeError, match=r"must be a tuple of arguments, as in apply_async\(\('x',\)\)"):
        declare(app).apply_async("x")


def test_what_does_not_fit_is_not_sent(app: Polypool, tray: Tray) -> None:
    add = declare(app)
    for send, error in [
        (lambda: add.delay("x"), ArgumentError),
        (add.delay, ArgumentError),
        (lambda: add.delay(object()), NotEncodable),
        (lambda: add.apply_async((1, 2, 3)), ArgumentError),
    ]:
        with pytest.raises(error, match=r"^add: "):
            send()
    assert tray.messages == []


def test_an_id_that_is_known_already_is_refused(app: Polypool, tray: Tray) -> None:
    add = declare(app)
    add.apply_async((1,), task_id="mine")
    with pytest.raises(DuplicateTask, match=r"app\.result"):
        add.apply_async((1,), task_id="mine")


def test_what_a_task_sends_knows_its_parent_and_its_root(app: Polypool, tray: Tray) -> None:
    add = declare(app)

    class Under:
        message = Message("child", "t", b"", parent="top", root="top")

    class Top:
        message = Message("top", "t", b"")

    for sender in (Top(), Under()):
        token = running.set(sender)  # type: ignore[arg-type]  # its message is all that counts here
        try:
            add.delay(1)
        finally:
            running.reset(token)
    assert [(message.parent, message.root) for message in tray.messages] == [("top", "top"), ("child", "top")]


def test_map_numbers_its_members_and_starmap_spreads_tuples(app: Polypool, tray: Tray) -> None:
    add = declare(app)
    group = add.map([5, 6], queue="bulk", countdown=2)
    add.starmap(((n, n) for n in (1, 2)), task_id="pairs")
    assert [message.id for message in tray.messages] == [f"{group.id}-0", f"{group.id}-1", "pairs-0", "pairs-1"]
    assert [decode_any(message.args)[0] for message in tray.messages] == [[5], [6], [1, 1], [2, 2]]
    assert [message.queue for message in tray.messages] == ["bulk", "bulk", "sums", "sums"]
    assert tray.messages[0].due == tray.messages[0].sent_at + 2
    assert len(group) == 2


def test_map_sent_again_under_its_own_id_is_no_error(app: Polypool, tray: Tray) -> None:
    add = declare(app)
    assert len(add.map([1, 2], task_id="import-7")) == 2
    assert len(add.map([1, 2, 3], task_id="import-7")) == 3


def test_a_million_are_read_lazily_with_three_batches_in_memory(app: Polypool) -> None:
    tray, read, ahead = Tray(held=True), 0, []
    app.use(tray)

    def items() -> Iterator[int]:
        nonlocal read
        for number in range(20 * BATCH_COUNT):
            read += 1
            waiting = sum(count for _, count in tray.unanswered)
            ahead.append(waiting)
            if len(tray.unanswered) > IN_FLIGHT:
                raise AssertionError("read on although three batches were unanswered")
            yield number

    import threading

    sender = threading.Thread(target=lambda: declare(app).map(items()))
    sender.start()
    while sender.is_alive():
        tray.release()
        sender.join(0.001)
    assert read == 20 * BATCH_COUNT
    assert max(ahead) <= IN_FLIGHT * BATCH_COUNT
    assert {len(batch) for batch in tray.batches} == {BATCH_COUNT}


def test_large_arguments_make_batches_of_fewer(app: Polypool, tray: Tray) -> None:
    @app.task(name="store")
    def store(data: bytes) -> None: ...

    store.map(b"x" * (BATCH_BYTES // 4) for _ in range(10))
    assert max(len(batch) for batch in tray.batches) <= 4


async def test_an_async_generator_can_be_mapped_and_others_run_meanwhile(app: Polypool, tray: Tray) -> None:
    async def items() -> AsyncIterator[int]:
        for number in range(3 * BATCH_COUNT):
            if number % 100 == 0:
                await asyncio.sleep(0)
            yield number

    assert len(await declare(app).amap(items())) == 3 * BATCH_COUNT
    assert len(tray.batches) == 3


def test_the_first_bad_item_stops_the_map_and_is_told_with_what_was_sent(app: Polypool, tray: Tray) -> None:
    items: list[Any] = list(range(2 * BATCH_COUNT + 5))
    items[-1] = "bad"
    with pytest.raises(ArgumentError, match=r"add: x: expected `int`, got `str`") as caught:
        declare(app).map(items)
    notes = " ".join(caught.value.__notes__)
    assert "item 2,004" in notes
    assert "the first 2,000 were sent" in notes
    assert len(tray.messages) == 2 * BATCH_COUNT


def test_an_error_of_the_generator_keeps_what_was_sent_before(app: Polypool, tray: Tray) -> None:
    def items() -> Iterator[int]:
        yield from range(BATCH_COUNT)
        raise OSError("the file ended early")

    with pytest.raises(OSError, match="ended early") as caught:
        declare(app).map(items())
    assert "the first 1,000 were sent" in caught.value.__notes__[0]


def test_many_calls_of_several_tasks_make_one_group(app: Polypool, tray: Tray) -> None:
    add = declare(app)

    @app.task(name="shout")
    async def shout(text: str) -> str: ...

    group = app.send_many(((add, (n,)) if n % 2 else (shout, (), {"text": "x"}) for n in range(4)), task_id="mix")
    assert [(message.id, message.task) for message in tray.messages] == [
        ("mix-0", "shout"),
        ("mix-1", "add"),
        ("mix-2", "shout"),
        ("mix-3", "add"),
    ]
    assert len(group) == 4
    app.send_many([(add, (1,))], queue="elsewhere")
    assert tray.messages[-1].queue == "elsewhere"


def test_what_comes_slowly_is_not_held_back_until_a_batch_is_full(
    app: Polypool, tray: Tray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("polypool.sending.bulk.BATCH_AGE_S", 0.0)
    declare(app).map(range(5))
    assert [len(batch) for batch in tray.batches] == [1] * 5


@pytest.mark.parametrize("item", [7, "ab", {"x": 1}])
def test_starmap_of_what_are_no_tuples_says_which_item_and_what_it_takes(app: Polypool, tray: Tray, item: Any) -> None:
    @app.task
    def add(x, y):  # type: ignore[no-untyped-def]
        return x + y

    with pytest.raises(TypeError, match=r"item 1, .* must be a tuple of arguments, as in starmap\(\["):
        add.starmap([(1, 2), item])


def test_async_iterables_are_sent_by_the_awaited_twins(app: Polypool, tray: Tray) -> None:
    async def numbers() -> AsyncIterator[Any]:
        yield 1

    @app.task
    def add(x: int) -> int:
        return x

    for send, twin in ((add.map, "amap"), (add.starmap, "astarmap")):
        with pytest.raises(TypeError, match=twin):
            send(numbers())  # type: ignore[arg-type]
