"""group and chord: side by side, and what comes of all. Members by name, chunks, and what they may be made of."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from polypool import ArgumentError, ConfigurationError, GroupResult, TaskFailed, chain, chord, group
from polypool.testing import Captured, run_in_place
from tests.unit.works import Works, sent, works

__all__ = ["sent", "works"]


def test_members_run_side_by_side_and_their_results_stand_in_order(works: Works) -> None:
    flow = group(works.add.s(n) for n in (3, 1, 2))
    assert flow() == [3, 1, 2]
    with run_in_place(works.app):
        result = flow.delay()
        assert isinstance(result, GroupResult)
        assert (result.get(), len(result), result[1].get()) == ([3, 1, 2], 3, 1)
        assert flow.delay(10).get() == [13, 11, 12]


def test_members_may_be_given_one_by_one(works: Works) -> None:
    assert group(works.add.s(1), works.add.s(2))() == [1, 2]
    assert repr(group(works.add.s(1), works.add.s(2)).set(queue="q")) == "group(add.s(1), add.s(2)).set(queue='q')"


def test_a_chord_gives_its_body_the_list(works: Works) -> None:
    header = [works.add.s(1), works.add.s(2)]
    with run_in_place(works.app):
        for flow in (chord(header, works.total.s(10)), group(header) | works.total.s(10)):
            assert flow() == flow.delay().get() == 13
            assert repr(flow) == "chord(group(add.s(1), add.s(2)), total.s(10))"
        assert chord(header)(works.total.s(5)).get() == 8
        assert chord(group(header))(works.total.s(5)).get() == 8
    assert repr(chord(header)) == "chord(group(add.s(1), add.s(2)))"


def test_a_body_may_take_nothing(works: Works) -> None:
    with run_in_place(works.app):
        assert (group(works.add.s(1)) | works.add.si(7)).delay().get() == 7


def test_any_of_them_in_any_other(works: Works) -> None:
    add, total = works.add, works.total
    flow = chain(
        add.s(1),
        group(add.s(1), chain(add.s(2), add.s(3)), group(add.s(4), add.s(5)) | total.s()),
        group(total.s(), total.s(100)),
        total.s(),
    )
    inner = chord(group(chord(group(add.s(1), add.s(2)), total.s()), add.s(3)), total.s() | add.s(1))
    with run_in_place(works.app):
        assert flow() == flow.delay().get() == 138
        assert inner() == inner.delay().get() == 7
        assert (inner | add.s(1) | group(add.s(1), add.s(2))).delay().get() == [9, 10]


def test_groups_in_a_row_pass_the_list_on(works: Works) -> None:
    flow = group(works.add.s(1), works.add.s(2)) | group(works.total.s(), works.total.s(10))
    assert repr(flow).startswith("chain(group(")
    with run_in_place(works.app):
        assert flow() == flow.delay().get() == [3, 13]


def test_an_empty_group_before_a_body_gives_it_an_empty_list(works: Works) -> None:
    with run_in_place(works.app):
        for flow in (chord([], works.total.s(4)), chord((one for one in []), works.total.s(4))):
            assert flow.delay().get() == 4
        assert (works.add.s(1) | group([]) | works.total.s(4)).delay().get() == 4


@pytest.mark.parametrize("members", [[], iter([])])
def test_an_empty_group_alone_is_refused(works: Works, members: object) -> None:
    with pytest.raises(ConfigurationError, match="a group needs at least one member"):
        group(members).delay()  # type: ignore[call-overload]


def test_a_workflow_that_ends_in_an_empty_group_is_refused(works: Works, sent: Captured) -> None:
    with pytest.raises(ConfigurationError, match="ends in a group without members"):
        (works.add.s(1) | group([])).delay()
    assert len(sent) == 0


def test_a_member_that_fails_is_told_of_once_and_by_name(works: Works) -> None:
    with run_in_place(works.app):
        flow = group(works.add.s(1), works.boom.s(1), works.boom.s(2)) | works.total.s()
        failed = flow.set(on_failure=works.tell_failure.s()).delay()
        with pytest.raises(TaskFailed, match="boom 1"):
            failed.get()
    assert works.told == [(f"{failed.id}.0-1", "boom", "boom 1")]


def test_callbacks_of_a_group_get_the_list(works: Works) -> None:
    with run_in_place(works.app):
        group(works.add.s(1), works.add.s(2)).link(works.tell.s()).delay()
    assert works.told == [[1, 2]]


def test_members_wait_for_each_other_by_name(works: Works) -> None:
    flow = group(
        works.report.s().set(after=["users", "orders"]),
        works.add.s(3).set(name="users"),
        works.add.s(1).set(name="orders", after="x"),
        works.add.s(4).set(name="x"),
    )
    with pytest.raises(ArgumentError, match="multiple values for argument 'x'"):
        flow.delay()
    flow = group(
        works.report.s().set(after=["users", "orders"]),
        works.add.s(3).set(name="users"),
        works.add.si(1).set(name="orders", after="users"),
    )
    with run_in_place(works.app):
        assert flow() == flow.delay().get() == ["3 users, 1 orders", 3, 1]
    assert "report.s().set(after=['users', 'orders'])" in repr(flow)


def test_a_chain_takes_part_by_name(works: Works) -> None:
    users = (works.add.s(1) | works.add.s(2)).set(name="users")
    flow = group(users, chain(works.report.s(), works.tell.si("done")).set(after=["users"]))
    with run_in_place(works.app):
        assert flow() == flow.delay().get() == [3, None]


def test_wrong_arguments_by_name_say_where_they_come_from(works: Works, sent: Captured) -> None:
    flow = group(works.add.s(1).set(name="people"), works.report.s().set(after="people"))
    with pytest.raises(ArgumentError, match="from the steps that it waits for it gets people") as raised:
        flow.delay()
    assert raised.value.__notes__ == ["polypool: this was member 1 of a group, counted from 0"]


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ([("a", "b"), ("b", "c"), ("c", "a")], "a → b → c → a"),
        ([("a", "a")], "a → a"),
        ([("x", ""), ("a", "x b"), ("b", "a")], "in a circle, and none could ever run: a → b → a"),
        ([("a", "bb"), ("b", "")], r"a waits for 'bb', and no member of its group is called that \(did you mean b\?\)"),
        ([("", "users")], r"member 0 waits for 'users'.*none has a name: give it one with \.set\(name=…\)"),
        ([("a", ""), ("a", "")], "members 0 and 1 of a group are both called 'a'"),
    ],
)
def test_what_can_never_run_is_refused_when_composed(works: Works, named: list[tuple[str, str]], words: str) -> None:
    members = []
    for name, after in named:
        member = works.add.si(1).set(after=after.split())
        members.append(member.set(name=name) if name else member)
    with pytest.raises(ConfigurationError, match=words):
        group(members)


def test_a_generator_is_read_when_the_group_is_sent_and_once(works: Works) -> None:
    read: list[int] = []

    def members() -> Iterator[object]:
        for number in range(3):
            read.append(number)
            yield works.add.s(number)

    flow = group(members())  # type: ignore[arg-type]
    assert read == [] and repr(flow) == "group(…)"
    with run_in_place(works.app):
        assert flow.delay().get() == [0, 1, 2]
        assert flow.delay().get() == [0, 1, 2], "it was short enough to be kept"
    assert read == [0, 1, 2]


def test_the_same_signature_changed_while_it_is_read_makes_different_members(works: Works, sent: Captured) -> None:
    one = works.add.s(1)
    group(one.set(queue=name) for name in "abc").delay()
    assert [entry.queue for entry in sent] == ["a", "b", "c"]


def test_what_is_no_signature_is_refused(works: Works) -> None:
    async def members() -> AsyncIterator[object]:
        yield works.add.s(1)

    with pytest.raises(TypeError, match=r"a group is made of signatures.*write add\.s"):
        group([works.add])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="a group reads plain iterables"):
        group(members())  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="a chord's body is made of signatures"):
        chord([works.add.s(1)], works.total)  # type: ignore[call-overload]


def test_a_member_that_does_not_fit_says_which_it_is(works: Works, sent: Captured) -> None:
    with pytest.raises(ArgumentError, match="x: expected `int`, got `str`") as raised:
        group(works.add.s(value) for value in (1, "two")).delay()
    assert raised.value.__notes__ == ["polypool: this was member 1 of a group, counted from 0"]
    with pytest.raises(ArgumentError, match="expected") as raised:
        (group(works.add.s(1)) | works.total.s("ten")).delay()
    assert raised.value.__notes__ == [
        "polypool: this was the body of a chord, whose first argument is the list of results"
    ]


def test_a_task_over_items_as_an_unsent_group(works: Works) -> None:
    with run_in_place(works.app):
        assert (group.map(works.add, range(5)) | works.total.s()).delay().get() == 10
        assert (group.starmap(works.add, [(1, 2), (3, 4)]) | works.total.s()).delay().get() == 10
        assert group.map(works.add, [1, 2])() == [1, 2]


def test_chunks_as_an_unsent_group(works: Works) -> None:
    with run_in_place(works.app):
        assert group.chunks(works.add, range(5), 2).delay().get() == [[0, 1], [2, 3], [4]]
        assert group.starchunks(works.add, [(1, 2), (3, 4)], 2).delay().get() == [[3, 7]]
        found = (group.chunks(works.add, range(100)) | works.tell.si("all")).delay()
        assert found.get() is None and works.told == ["all"]
        assert (works.add.s(1) | group.chunks(works.add, range(3), 2)).delay().get() == [[0, 1], [2]]
    with pytest.raises(ConfigurationError, match="n=0 must be a whole number of items a chunk"):
        group.chunks(works.add, range(5), 0)
    with pytest.raises(TypeError, match="is no collection of items"):
        group.chunks(works.add, "text", 2)


def test_calling_one_with_async_members_makes_a_coroutine(works: Works) -> None:
    assert asyncio.run((group(works.aadd.s(1), works.add.s(2)) | works.total.s())()) == 3


def test_the_awaited_twins_send_the_same(works: Works) -> None:
    async def main() -> None:
        async with run_in_place(works.app):
            result = await (group(works.aadd.s(1), works.add.s(2)) | works.total.s()).adelay(10)
            assert await result == 23
            many = await group(works.add.s(n) for n in range(2_500)).aapply_async((1,))
            assert sum(await many.aget()) == sum(range(1, 2_501))

    asyncio.run(main())


def test_members_and_steps_can_be_looked_at(works: Works) -> None:
    flow = group(works.add.s(n) for n in range(2)) | works.total.s() | works.add.s(1)
    assert list(map(repr, flow.tasks)) == ["chord(group(…), total.s())", "add.s(1)"]
    made = chord([works.add.s(1)], works.total.s())
    assert list(map(repr, made.tasks)) == ["group(add.s(1))", "total.s()"]
    assert list(map(repr, made.header.tasks)) == ["add.s(1)"]


def test_copies_keep_what_was_set(works: Works) -> None:
    made = chord([works.add.s(1)], works.total.s()).set(queue="q", name="n", on_success=works.tell.s())
    assert repr(made.clone()) == repr(made)
    assert repr(made.clone().header.set(queue="other")) != repr(made.header)


@pytest.mark.parametrize(
    ("compose", "where"),
    [
        (lambda a, b: b.delay(), "not in a group"),
        (chain, "a step of a chain"),
        (lambda a, b: a | b, "a step of a chain"),
        (lambda a, b: chord([a], b), "the body of a chord"),
    ],
)
def test_only_members_of_a_group_wait_by_name(works: Works, compose: Callable[..., object], where: str) -> None:
    first, second = works.add.s(1, 2).set(name="x"), works.add.s(y=1).set(after=["x"])
    with pytest.raises(ConfigurationError, match=where) as refused:
        compose(first, second)
    assert 'group(fetch.s(…).set(name="x")' in str(refused.value)


def test_a_header_without_a_body_says_that_it_has_none(works: Works) -> None:
    with pytest.raises(AttributeError, match="has no body yet"):
        chord([works.add.s(1, 2)]).delay()  # type: ignore[attr-defined]


def test_groups_of_what_comes_asynchronously_say_what_reads_it(works: Works) -> None:
    async def numbers() -> AsyncIterator[int]:
        yield 1

    for compose in (group.map, group.starmap, group.chunks):
        with pytest.raises(TypeError, match="async for one in"):
            compose(works.add, numbers())  # type: ignore[operator]
