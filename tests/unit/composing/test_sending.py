"""Sending workflows: at once, in parts, read while they are sent, again after a failure, inside a transaction, and in
place of a run that returned one."""

import asyncio
import sqlite3
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from polypool import (
    ConfigurationError,
    DuplicateTask,
    EngineUnreachable,
    GroupResult,
    TaskCancelled,
    TaskFailed,
    chain,
    chord,
    group,
)
from polypool.canvas.shape import Bulk, Chord, decode_plan
from polypool.composing.sending import AT_ONCE_BYTES
from polypool.composing.source import AT_ONCE, MOST_LISTED
from polypool.core.ask import Ask, Put, Read, Seal
from polypool.core.join import OPEN
from polypool.core.message import Message
from polypool.native import Answer
from polypool.testing import captured, run_in_place
from tests.unit.works import Works, works

__all__ = ["works"]


class Watched:
    """A Line over another one. Keeps what was asked; the ask of number `fails_at` finds the engine gone."""

    def __init__(self, works: Works, fails_at: int | None = None) -> None:
        self.asks: list[Ask] = []
        self.line = works.app.outlet.line
        self.fails_at = fails_at
        works.app.outlet.line = self

    def ask(self, ask: Ask) -> Any:
        self.asks.append(ask)
        if len(self.asks) - 1 == self.fails_at:
            failed = Answer()
            failed.set(error=EngineUnreachable("gone"))
            return failed
        return self.line.ask(ask)

    @property
    def puts(self) -> list[list[Message]]:
        return [ask.messages for ask in self.asks if isinstance(ask, Put)]


class Forgets:
    """A Line that takes everything and keeps nothing but how many there were."""

    def __init__(self) -> None:
        self.count = 0
        self.waits = 0

    def ask(self, ask: Ask) -> Any:
        answer = Answer()
        if isinstance(ask, Put):
            self.count += len(ask.messages)
            self.waits += sum(message.is_waiting for message in ask.messages)
            answer.set([True] * len(ask.messages))
        else:
            answer.set(True if isinstance(ask, Seal) else [None])
        return answer


def adds(works: Works, count: int) -> Iterator[Any]:
    return (works.add.s(number) for number in range(count))


def test_a_workflow_is_written_in_one_step(works: Works) -> None:
    with run_in_place(works.app):
        line = Watched(works)
        (group(adds(works, AT_ONCE - 1)) | works.total.s()).delay()
        assert [len(put) for put in line.puts] == [AT_ONCE]


def test_what_is_known_and_large_is_sent_in_parts_those_that_wait_first(works: Works) -> None:
    with run_in_place(works.app):
        line = Watched(works)
        flow = works.add.s(1) | group(adds(works, 5_000)) | works.total.s()
        assert flow.delay().get() == sum(range(5_000)) + 5_000
        waiting = [message.is_waiting for put in line.puts for message in put]
        assert waiting == [True] * 5_001 + [False]
        assert max(map(len, line.puts)) <= AT_ONCE


def test_what_is_large_in_bytes_is_sent_in_parts_too(works: Works) -> None:
    with run_in_place(works.app):
        line = Watched(works)
        text = "x" * (AT_ONCE_BYTES // 4)
        chain(works.tell.si(text) for _ in range(4)).delay()
        assert len(line.puts) == 2
    assert works.told == [text] * 4


def test_a_long_group_is_read_while_it_is_sent(works: Works) -> None:
    with run_in_place(works.app):
        line = Watched(works)
        result = group(adds(works, AT_ONCE + 1)).delay()
        assert len(result) == AT_ONCE + 1
        assert sum(result.get()) == sum(range(AT_ONCE + 1))
        ((gatherer,), *_, (whole,)) = line.puts
        assert gatherer.flow is not None and gatherer.flow.waits == OPEN
        assert gatherer.flow.plan is not None and decode_plan(gatherer.flow.plan) == Bulk("add")
        assert whole.id == f"{result.id}-all"
        assert Seal(result.id, AT_ONCE + 2) in line.asks


def test_a_long_header_is_read_while_it_is_sent(works: Works) -> None:
    flow = group(adds(works, 3_000)) | works.total.s() | works.add.s(1) | group(works.add.s(1), works.add.s(2))
    with run_in_place(works.app):
        line = Watched(works)
        result = flow.delay(1)
        expected = sum(range(3_000)) + 3_000 + 1
        assert result.get() == [expected + 1, expected + 2]
        plan = next(one.flow.plan for put in line.puts for one in put if one.flow is not None and one.flow.plan)
        assert not isinstance(decode_plan(plan), Bulk | Chord)


def test_members_of_a_long_group_may_be_workflows(works: Works) -> None:
    members = (works.add.s(number) | works.add.s(1) for number in range(AT_ONCE + 1))
    with run_in_place(works.app):
        assert (group(members) | works.total.s()).delay().get() == sum(range(AT_ONCE + 2))


def test_a_member_of_a_long_group_that_fails_fails_its_body_once(works: Works) -> None:
    members = (works.add.s(number) if number != 2_345 else works.boom.s(7) for number in range(3_000))
    with run_in_place(works.app):
        result = (group(members) | works.total.s()).link_error(works.tell_failure.s()).delay()
        with pytest.raises(TaskFailed, match="boom 7"):
            result.get()
    assert works.told == [(f"{result.id}.0-2345", "boom", "boom 7")]


def test_members_sent_after_a_cancel_are_cancelled_too(works: Works) -> None:
    def cancelled_on_the_way() -> Iterator[Any]:
        for number in range(2 * AT_ONCE + 500):
            if number == AT_ONCE + 5:
                assert works.app.result("w").cancel()
            yield works.add.s(number)

    with captured(works.app):
        chord(cancelled_on_the_way(), works.total.s()).apply_async(task_id="w")
        last = works.app.result(f"w.0-{2 * AT_ONCE + 499}")
        assert (works.app.result("w.0-0").status, last.status) == ("cancelled", "cancelled")


def test_a_long_group_that_is_over_before_the_run_that_returned_it_ends_that_one_too(works: Works) -> None:
    def members() -> Iterator[Any]:
        for number in range(AT_ONCE + 500):
            if number == AT_ONCE + 5:
                works.app.result("behind.0~").cancel()
            yield works.add.s(number)

    @works.app.task(name="returns")
    def returns() -> Any:
        return group(members())

    with run_in_place(works.app):
        result = (returns.s() | works.tell.s()).apply_async(task_id="behind")
        with pytest.raises(TaskCancelled, match=r"polypool\.group .*~: it was cancelled"):
            result.get()
    assert works.told == []


def test_a_list_is_known_up_to_its_limit_and_read_beyond(works: Works) -> None:
    works.app.use(Forgets())
    for count in (MOST_LISTED, MOST_LISTED + 1):
        line = Forgets()
        works.app.use(line)
        group([works.tell.si() for _ in range(count)]).delay()
        assert line.count == count + (1 if count == MOST_LISTED else 2)


def test_what_comes_too_late_to_be_read_while_it_is_sent_names_the_way(works: Works) -> None:
    line = Forgets()
    works.app.use(line)
    many = MOST_LISTED + 1
    for flow in (
        works.add.s(1) | group(adds(works, many)) | works.total.s(),
        group(group(adds(works, many)), works.add.s(1)),
        works.add.s(1) | group([works.tell.si() for _ in range(many)]),
    ):
        with pytest.raises(ConfigurationError, match=r"more than 10,000 members.*return the group.*group\.chunks"):
            flow.delay()
    assert line.count == 0


def test_members_of_a_long_group_cannot_wait_for_each_other(works: Works) -> None:
    works.app.use(Forgets())
    members = (works.tell.si().set(name=f"n{n}", after=[f"n{n - 1}"] if n else []) for n in range(AT_ONCE + 1))
    with pytest.raises(ConfigurationError, match="member 1 of a group waits for others in it"):
        group(members).delay()


def test_a_group_that_was_read_and_sent_is_at_its_end(works: Works) -> None:
    works.app.use(Forgets())
    flow = group(adds(works, AT_ONCE + 1))
    flow.delay()
    with pytest.raises(ConfigurationError, match="the iterator is at its end; make the group anew"):
        flow.delay()


def test_what_is_held_does_not_grow_with_the_number_of_members(works: Works) -> None:
    line = Forgets()
    works.app.use(line)
    count = 40_000

    def peak(many: int) -> int:
        tracemalloc.start()
        (group.map(works.tell, range(many)) | works.tell.si()).delay()
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    few = peak(count // 4)
    assert peak(count) < 1.5 * few, "what is held grows with how many there are"


@pytest.mark.parametrize("fails_at", range(7))
def test_a_send_that_broke_off_goes_on_with_the_same_id_and_runs_nothing_twice(works: Works, fails_at: int) -> None:
    runs: Counter[int] = Counter()

    @works.app.task(name="once")
    def once(number: int) -> int:
        runs[number] += 1
        return number

    def flow() -> Any:
        return (group(once.s(n) for n in range(2_500)) | works.total.s()).link(works.tell.s())

    with run_in_place(works.app) as place:
        line = Watched(works, fails_at)
        with pytest.raises(EngineUnreachable):
            flow().apply_async(task_id="mine")
        line.fails_at = None
        place.advance(0)
        assert flow().apply_async(task_id="mine").get() == sum(range(2_500))
        with pytest.raises(DuplicateTask, match="a workflow with the id 'mine' was sent before"):
            flow().apply_async(task_id="mine")
    assert set(runs.values()) == {1} and len(runs) == 2_500
    assert works.told == [sum(range(2_500))]


def test_an_id_that_is_known_is_refused_before_anything_is_written(works: Works) -> None:
    with run_in_place(works.app):
        works.add.apply_async((1,), task_id="mine")
        line = Watched(works)
        with pytest.raises(DuplicateTask, match=r"app\.result\('mine'\) shows what became of it"):
            (works.add.s(1) | works.add.s(2)).apply_async(task_id="mine")
        assert line.asks == [Read(["mine"])]


def test_no_more_than_max_pending_are_under_way(works: Works) -> None:
    with run_in_place(works.app):
        line = Watched(works)
        flow = group(adds(works, 50)) | works.total.s()
        assert flow.apply_async(max_pending=5, progress=False).get() == sum(range(50))
        members = [len(put) for put in line.puts if "-" in put[0].id]
        assert max(members) <= 5


def test_a_returned_group_of_any_size_takes_the_runs_place(works: Works) -> None:
    @works.app.task(name="unfold")
    def unfold(count: int) -> object:
        return group(adds(works, count)) | works.total.s()

    with run_in_place(works.app):
        line = Watched(works)
        for count in (3, AT_ONCE + 500):
            result = (unfold.s(count) | works.add.s(1)).delay()
            assert result.get() == sum(range(count)) + 1
        assert f"{result.id}.0~.0-2499" in {message.id for put in line.puts for message in put}


def test_a_returned_workflow_inherits_priority_and_expiry(works: Works) -> None:
    @works.app.task(name="unfold")
    def unfold() -> object:
        return works.add.s(1) | works.add.s(2).set(priority=9)

    with run_in_place(works.app) as place:
        result = (unfold.s() | works.add.s(1)).apply_async(priority=4, expires=60)
        assert result.get() == 4
        replaced = works.app.replacement(unfold(), next(one.message for one in place.sent if one.message))
    assert replaced is not None
    found = {message.id.rpartition("~")[2]: message for message in replaced.messages}
    assert (found[".0"].priority, found[""].priority) == (4, 9)
    assert found[""].expires == found[".0"].expires is not None
    assert {message.root for message in replaced.messages} == {result.id}


def test_an_ordinary_value_takes_nobodys_place(works: Works) -> None:
    message = Message("id", "add", b"")
    assert works.app.replacement({"a": 1}, message) is None


def test_a_whole_workflow_goes_into_a_transaction(works: Works) -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("begin")
    flow = group(adds(works, 3)) | works.total.s()
    with run_in_place(works.app) as place:
        result = flow.using(connection).delay(1)
        assert {one.id for one in place.sent} == {f"{result.id}.0-{n}" for n in range(3)} | {result.id}
        place.advance(0)
        assert result.get() == 6
        many = group(adds(works, AT_ONCE + 1)).using(connection).apply_async(queue="q")
        assert isinstance(many, GroupResult) and len(many) == AT_ONCE + 1
        assert sum(many.get()) == sum(range(AT_ONCE + 1))
        works.add.using(connection).apply_async((1,), link=works.tell.s())
        place.advance(0)
    assert works.told == [1]
    connection.close()


def test_a_transaction_takes_no_group_that_is_read_for_ever(works: Works) -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("begin")
    with run_in_place(works.app), pytest.raises(ConfigurationError, match="inside a transaction a group is read"):
        group(adds(works, MOST_LISTED + 1)).using(connection).delay()
    connection.close()


def test_an_async_run_returns_a_long_group_too(works: Works) -> None:
    @works.app.task(name="unfold")
    async def unfold(count: int) -> object:
        return group(adds(works, count)) | works.total.s()

    async def main() -> int:
        async with run_in_place(works.app):
            return int(await (await unfold.adelay(AT_ONCE + 500)))

    assert asyncio.run(main()) == sum(range(AT_ONCE + 500))
