"""What one holds of a workflow: results, parents and children, cancelling, trees, retry and replay."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from polypool import AsyncResult, GroupResult, NotRepeatable, Polypool, ResultUnknown, TaskCancelled, TaskFailed
from polypool.brokers.memory import MemoryEngine
from polypool.canvas.compile import Ground, compile
from polypool.canvas.shape import Bulk, Call, Chain, Chord, Group, Shape
from polypool.core.codec import encode
from polypool.core.join import Flow, Input, Many, Next
from polypool.core.message import Message
from polypool.core.outcome import Done
from polypool.core.report import Search
from tests.unit.by_hand import EngineByHand
from tests.unit.flows import Hands, boom, call, messages, returns, usage


@dataclass
class Label:
    name: str


@pytest.fixture
def engine() -> EngineByHand:
    return EngineByHand()


@pytest.fixture
def app(engine: EngineByHand) -> Iterator[Polypool]:
    app = Polypool("unit", broker=engine)

    @app.task(name="double")
    def double(n: int) -> int:
        return 2 * n

    @app.task(name="vision")
    def vision(n: int) -> Label:
        return Label("glass")

    app.open()
    yield app
    app.close()


@pytest.fixture
def hands(app: Polypool, engine: EngineByHand) -> Hands:
    return Hands(engine, engine.there)


def known(engine: EngineByHand) -> dict[str, str]:
    """The state of all there is."""
    views = engine.there(engine.find(Search(limit=1_000_000)))
    return {view.id: view.state.value for view in views}


def flat(*relatives: Any) -> list[str]:
    return [repr(one) for one in relatives]


class TestReading:
    def test_the_value_of_a_group_is_that_of_its_members_as_they_were_composed(
        self, app: Polypool, hands: Hands
    ) -> None:
        hands.put(Group((call(), Chain((call(), call("vision"))), Group((call("vision"), call())))))
        hands.run_all(W_0=1, W_1={"name": "a"}, W_2_0={"name": "b"}, W_2_1=4)
        value = [1, Label("a"), [Label("b"), 4]]
        assert app.result("W").get(timeout=60) == value
        assert app.group_result("W").get(timeout=60) == value
        assert list(app.group_result("W")) == value
        assert [one.get() for one in app.group_result("W", 3).results] == value
        assert sorted(one.id for one in app.group_result("W").as_completed()) == ["W-0", "W-1", "W-2"]

    async def test_it_can_be_awaited_too(self, app: Polypool, hands: Hands) -> None:
        hands.put(Group((call(), Group((call("vision"), call())))))
        hands.run_all(W_0=1, W_1_0={"name": "b"}, W_1_1=4)
        group = app.group_result("W")
        assert await app.result("W") == [1, [Label("b"), 4]]
        assert await group == [1, [Label("b"), 4]]
        assert [value async for value in group] == [1, [Label("b"), 4]]
        assert (await group.acount(), await group.acompleted_count(), await group.aready()) == (2, 2, True)

    def test_the_value_of_a_step_that_returned_a_workflow_is_that_workflows(self, app: Polypool, hands: Hands) -> None:
        hands.put(Chain((call("vision"), call())))
        hands.run(W_0=returns(Chain((call(), call("vision")))))
        hands.run_all(**{"W_0_": {"name": "deep"}})
        assert app.result("W.0").get(timeout=60) == Label("deep")

    def test_a_value_whose_parts_are_gone_says_so(self, app: Polypool, hands: Hands, engine: EngineByHand) -> None:
        hands.put(Group((call(), call())))
        hands.run_all()
        engine.there(engine.act("purge", Search(ids=("W-1",))))
        engine.store.entries.pop("W-1", None)
        with pytest.raises(ResultUnknown, match=r"value of W is made of .* task W-1 is no longer kept.*result_ttl"):
            app.result("W").get()

    def test_a_value_through_hundreds_of_returned_workflows_is_read(self, app: Polypool, hands: Hands) -> None:
        hands.put(Chain((call(), call())))
        step = "W.0"
        for _ in range(300):
            (delivery,) = hands.take()
            assert delivery.id == step
            hands.end(delivery, returns(call())(delivery))
            step += "~"
        hands.run_all()
        assert app.result("W.0").get(timeout=60) == step

    def test_a_failure_is_the_one_of_the_step_that_failed(self, app: Polypool, hands: Hands) -> None:
        hands.put(Chord(Group((call(), call(), call())), call()))
        hands.run_all(W_0_1=boom)
        with pytest.raises(TaskFailed, match=r"double W.0-1 \(member 1\): ValueError: boom in W.0-1") as caught:
            app.result("W").get(timeout=60)
        assert caught.value.task_id == "W.0-1"
        with pytest.raises(TaskFailed, match=r"^double W.0-1: ValueError"):
            app.group_result("W.0", 3).get()


class TestErrorsOfAGroup:
    def test_all_errors_are_raised_together_with_the_indexes_of_their_members(
        self, app: Polypool, hands: Hands
    ) -> None:
        hands.put(Group(tuple(call() for _ in range(5))))
        hands.run_all(W_1=boom, W_3=boom)
        with pytest.raises(ExceptionGroup, match="2 of the 5 members of group W did not succeed") as caught:
            app.group_result("W").get(raise_errors="all")
        assert [str(error) for error in caught.value.exceptions] == [
            "double W-1: ValueError: boom in W-1",
            "double W-3: ValueError: boom in W-3",
        ]
        assert [error.__notes__ for error in caught.value.exceptions] == [
            ["polypool: member 1 of group W, counted from 0"],
            ["polypool: member 3 of group W, counted from 0"],
        ]

    def test_without_errors_the_values_come_as_ever(self, app: Polypool, hands: Hands) -> None:
        hands.put(Group((call(), call())))
        hands.run_all(W_0=1, W_1=2)
        assert app.group_result("W").get(raise_errors="all") == [1, 2]

    @pytest.mark.parametrize("progress", [False, True])
    def test_of_very_many_errors_a_hundred_are_kept_and_all_are_counted(
        self, app: Polypool, hands: Hands, progress: bool
    ) -> None:
        group = app.tasks["double"].map(range(250))
        for delivery in hands.take():
            hands.end(delivery, boom(delivery))
        with pytest.raises(
            ExceptionGroup, match=r"250 of the 250 .*; here are 100 of them.*raise_errors=False"
        ) as caught:
            group.get(raise_errors="all", progress=progress)
        assert len(caught.value.exceptions) == 100

    def test_with_a_bar_the_first_error_in_order_is_raised_once_no_earlier_one_can_come(
        self, app: Polypool, hands: Hands, capsys: pytest.CaptureFixture[str]
    ) -> None:
        group = app.tasks["double"].map(range(3))
        first, second, third = hands.take()
        hands.end(third, boom(third))
        with pytest.raises(TimeoutError):
            group.get(timeout=0.01, progress=True)
        hands.end(first, Done(encode(1), usage()))
        hands.end(second, boom(second))
        with pytest.raises(TaskFailed, match="-1: ValueError"):
            group.get(timeout=60, progress=True)
        assert "waiting for group" in capsys.readouterr().err

    async def test_a_bar_shows_how_many_have_ended(
        self, app: Polypool, hands: Hands, capsys: pytest.CaptureFixture[str]
    ) -> None:
        group = app.tasks["double"].map(range(7))
        hands.run_all()
        assert len(await group.aget(timeout=60, progress=True)) == 7
        assert "7/7" in capsys.readouterr().err


class TestCounting:
    def test_a_group_of_a_workflow_knows_how_many_it_has(self, app: Polypool, hands: Hands) -> None:
        hands.put(Chain((call(), Group((call(), call())), call())))
        assert len(app.group_result("W.1")) == 2
        assert app.group_result("W.1")[-1].id == "W.1-1"

    def test_a_group_of_map_has_to_be_told(self, app: Polypool) -> None:
        group = app.tasks["double"].map(range(2))
        with pytest.raises(ResultUnknown, match=rf"app.group_result\('{group.id}', count\)"):
            len(app.group_result(group.id))

    def test_all_have_ended_once_the_group_has_a_result(
        self, app: Polypool, hands: Hands, engine: EngineByHand, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hands.put(Group(tuple(call() for _ in range(3_000))))
        hands.run_all()
        hands.run_all()
        asked: list[int] = []
        read = MemoryEngine.read

        async def counted(self: MemoryEngine, ids: Any) -> Any:
            asked.append(len(ids))
            return await read(self, ids)

        monkeypatch.setattr(EngineByHand, "read", counted)
        group = app.group_result("W")
        assert (group.completed_count, group.completed_count) == (3_000, 3_000)
        assert asked == [1]

    def test_nobody_asks_twice_about_a_member_that_had_ended(
        self, app: Polypool, hands: Hands, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        group = app.tasks["double"].map(range(2_500))
        first, *_ = taken = hands.take(2_490)
        for delivery in taken[1:]:
            hands.end(delivery, Done(encode(1)))
        asked: list[int] = []
        read = MemoryEngine.read

        async def counted(self: MemoryEngine, ids: Any) -> Any:
            asked.append(len(ids))
            return await read(self, ids)

        monkeypatch.setattr(EngineByHand, "read", counted)
        assert group.completed_count == 2_489
        assert group.completed_count == 2_489
        assert asked == [1, 1_000, 1_000, 500, 11]
        assert first.id == f"{group.id}-0"


class TestRelatives:
    SHAPE = Chain(
        (call(), Group((call(), Chain((call(), call())))), call(), Group((call(), call()))), on_success=(call(),)
    )

    def test_parents_lead_back_to_the_beginning(self, app: Polypool, hands: Hands) -> None:
        hands.put(self.SHAPE)
        result: Any = app.result("W")
        way = []
        while (result := result.parent) is not None:
            way.append(repr(result))
        assert way == flat(app.result("W.2"), app.group_result("W.1", 2), app.result("W.0"))

    def test_children_are_what_waits_and_the_members_of_a_group(self, app: Polypool, hands: Hands) -> None:
        hands.put(self.SHAPE)
        assert flat(*app.result("W.0").children) == flat(app.group_result("W.1", 2))
        assert app.result("W.1-0").children == [app.result("W.2")]
        assert app.result("W.1-1.0").children == [app.result("W.1-1")]
        assert app.result("W.1-1").children == [app.result("W.2")]
        assert flat(*app.result("W.2").children) == flat(app.group_result("W", 2))
        assert flat(*app.result("W").children) == flat(app.group_result("W", 2), app.result("W!0"))
        assert flat(app.result("W!0").parent) == flat(app.group_result("W", 2))

    def test_the_steps_of_a_returned_workflow_come_from_the_step_that_returned_it(
        self, app: Polypool, hands: Hands
    ) -> None:
        hands.put(Chain((call(), call())))
        hands.run(W_0=returns(Chain((call(), call()))))
        assert app.result("W.0").children == [app.result("W"), app.result("W.0~")]
        assert app.result("W.0~").parent == app.result("W.0~.0")
        assert app.result("W.0~.0").parent == app.result("W.0")

    def test_members_that_wait_for_others_know_them(self, app: Polypool, hands: Hands) -> None:
        hands.put(Group((call(name="a"), call(name="b", after=("a",)), call())))
        assert app.result("W-1").parent == app.result("W-0")
        assert app.result("W-0").children == [app.result("W-1")]
        assert (app.result("W-2").parent, app.result("W-2").children) == (None, [])

    def test_a_plain_task_has_none(self, app: Polypool) -> None:
        sent = app.tasks["double"].delay(1)
        assert (sent.parent, sent.children) == (None, [])
        assert app.result("nobody-1").parent is None

    async def test_they_can_be_awaited(self, app: Polypool, hands: Hands) -> None:
        hands.put(Chain((call(), call())))
        assert await app.result("W").aparent() == app.result("W.0")
        assert await app.result("W.0").achildren() == [app.result("W")]


class TestCancelling:
    def test_all_of_it_ends_and_no_callback_runs(self, app: Polypool, hands: Hands, engine: EngineByHand) -> None:
        shape = Chain(
            (call(), Group((call(), Chain((call(), call())))), call()), on_failure=(call(),), on_success=(call(),)
        )
        hands.put(shape)
        assert app.result("W").cancel() is True
        assert set(known(engine).values()) == {"cancelled"}
        assert hands.run_all() == []
        assert app.result("W").cancel() is False
        with pytest.raises(TaskCancelled):
            app.result("W").get(timeout=60)

    def test_running_members_and_what_they_were_replaced_by_end_too(
        self, app: Polypool, hands: Hands, engine: EngineByHand
    ) -> None:
        hands.put(Chord(Group((call(), call(), call())), call()))
        hands.run(W_0_0=returns(Group((call(), call()))), W_0_1=returns(Chain((call(), call()))))
        first, second, third = hands.take()
        hands.end(third, returns(Chain((call(), call())))(third))
        assert app.workflow("W").cancel() is True
        states = known(engine)
        held = {first.id, second.id}
        assert {id for id, state in states.items() if state == "running"} == held
        assert {id for id, state in states.items() if state == "cancelled"} >= {"W", "W.0-0", "W.0-1", f"{third.id}~"}
        assert set(engine.there(_orders(engine))) == held
        assert hands.run_all() == []

    def test_what_a_failed_step_had_been_replaced_by_ends_too(
        self, app: Polypool, hands: Hands, engine: EngineByHand
    ) -> None:
        hands.put(Chain((call(), call())))
        hands.run(W_0=returns(Group((call(), call(), call()))))
        first, *_ = hands.take()
        hands.end(first, boom(first))
        hands.run_all()
        assert [known(engine)[id] for id in ("W", "W.0", "W.0~-1", "W.0~-2")] == ["failed"] * 2 + ["running"] * 2
        assert app.result("W").cancel() is True
        assert set(engine.there(_orders(engine))) == {"W.0~-1", "W.0~-2"}

    def test_a_member_alone_takes_its_own_steps_along_and_what_waits_for_it(
        self, app: Polypool, hands: Hands, engine: EngineByHand
    ) -> None:
        hands.put(Chord(Group((call(), Chain((call(), call())))), call()))
        assert app.group_result("W.0")[1].cancel() is True
        assert {id for id, state in known(engine).items() if state == "cancelled"} == {"W.0-1", "W.0-1.0"}
        assert set(hands.run_all()) == {"W.0-0", "W"}
        assert known(engine)["W"] == "cancelled"
        with pytest.raises(TaskCancelled, match=r"double W.0-1 \(member 1\): it was cancelled"):
            app.result("W").get(timeout=60)

    def test_a_group_tells_how_many_of_its_members_had_not_ended(self, app: Polypool, hands: Hands) -> None:
        hands.put(Group(tuple(Chain((call(), call())) for _ in range(10))))
        first, *_ = hands.take(1)
        hands.end(first, Done(encode(1)))
        (second,) = (one for one in hands.take() if one.id == "W-0")
        hands.end(second, Done(encode(1)))
        group = app.group_result("W")
        assert (group.cancel(), group.cancel()) == (9, 0)
        assert app.result("W").status == "cancelled"

    async def test_a_group_that_is_still_being_sent_ends_as_far_as_it_is_there(
        self, app: Polypool, hands: Hands, engine: EngineByHand
    ) -> None:
        lazily(engine, 2_300, is_counted=False)
        assert await app.result("L").acancel() is True
        assert set(known(engine).values()) == {"cancelled"}

    def test_a_plain_task_that_returned_a_workflow_takes_it_along(
        self, app: Polypool, hands: Hands, engine: EngineByHand
    ) -> None:
        sent = app.tasks["double"].delay(1)
        (delivery,) = hands.take()
        hands.end(delivery, returns(Group((call(), call())))(delivery))
        assert sent.cancel() is True
        assert set(known(engine).values()) == {"cancelled"}


def lazily(engine: EngineByHand, count: int, is_counted: bool = True) -> None:
    """A chord `L` whose members were read lazily."""
    compiled = compile(Chord(Bulk("double"), call("merge")), "L", Ground(1.0))
    assert compiled.open is not None
    base, join = compiled.open.base, compiled.open.join
    members = [
        Message(f"{base}-{index}", "double", encode(([index], {})), sent_at=1.0, flow=Flow(then=(Next(join, index),)))
        for index in range(count)
    ]
    sent = [*compiled.messages, *members]
    if is_counted:
        flow = Flow(then=(Next(join, count),), inputs=(Input(Many(base, count)),), gathers=True)
        sent.append(Message(compiled.open.whole, "polypool.group", encode(([], {})), flow=flow))
    assert all(engine.there(engine.put(sent)))
    if is_counted:
        engine.there(engine.seal(join, count + 1))


async def _orders(engine: EngineByHand) -> list[str]:
    return [entry.id for entry in engine.store.held_by("by hand") if entry.is_cancelled]


class TestTree:
    def test_it_is_there_while_the_workflow_runs_and_after(self, app: Polypool, hands: Hands) -> None:
        hands.put(Chain((call(), Group((call(), call())), call())))
        states = []
        for _ in range(4):
            tree = app.workflow("W").tree()
            states.append([tree.root.state, *(one.state for one in tree.root.children)])
            hands.run()
        assert states == [
            ["queued", "queued", "scheduled", "scheduled"],
            ["queued", "succeeded", "queued", "scheduled"],
            ["queued", "succeeded", "succeeded", "queued"],
            ["succeeded", "succeeded", "succeeded", "succeeded"],
        ]
        assert tree.path[0] == "W.0" and tree.path[-1] == "W" and tree.root.work == pytest.approx(1.6)

    async def test_it_can_be_awaited_and_shows_one_task_too(self, app: Polypool, hands: Hands) -> None:
        sent = app.tasks["double"].delay(1)
        tree = await app.workflow(sent.id).atree()
        assert (tree.root.kind, tree.root.task, tree.root.state) == ("task", "double", "queued")
        with pytest.raises(ResultUnknown, match="no task nobody is known"):
            await app.workflow("nobody").atree()

    def test_a_step_is_shown_as_the_part_that_it_is(self, app: Polypool, hands: Hands) -> None:
        hands.put(Chain((call(), Group((call(), Chain((call(), call())))), call())))
        hands.run_all()
        tree = app.workflow("W.1-1").tree()
        assert (tree.workflow, tree.root.id, tree.root.kind) == ("W", "W.1-1", "chain")
        before = app.workflow("W.0").tree().root
        assert tree.root.ready == before.ended

    def test_workflows_that_runs_returned_hang_from_their_steps(self, app: Polypool, hands: Hands) -> None:
        hands.put(Chain((call(), call())))
        hands.run(W_0=returns(Group((call(), call()))))
        hands.run(W_0__1=returns(Chain((call(), call()))))
        root = app.workflow("W").tree().root
        (returned,) = root.children[0].children
        (deeper,) = returned.children[1].children
        assert (returned.id, deeper.id, deeper.kind) == ("W.0~", "W.0~-1~", "chain")

    def test_of_a_large_group_only_the_members_that_stand_out_are_read_in_full(
        self, app: Polypool, hands: Hands, engine: EngineByHand
    ) -> None:
        lazily(engine, 2_500)
        for delivery in hands.take(10_000):
            hands.end(delivery, boom(delivery) if delivery.id == "L.0-1234" else Done(encode(1), usage()))
        header = app.workflow("L").tree().root.children[0]
        assert (header.count, header.counts) == (2_500, {"succeeded": 2_499, "failed": 1})
        assert header.is_folded and len(header.children) <= 3
        assert "L.0-1234" in [one.id for one in header.children]

    def test_groups_of_up_to_as_many_members_as_one_says_are_shown_one_by_one(
        self, app: Polypool, hands: Hands
    ) -> None:
        hands.put(Group(tuple(call() for _ in range(30))))
        assert len(app.workflow("W").tree().root.children) < 5
        assert len(app.workflow("W").tree(members=30).root.children) == 30


class TestRetry:
    def sent(self, engine: EngineByHand, id: str) -> set[str]:
        return {one.removeprefix(id) for one in known(engine) if one.startswith(id)}

    def test_it_goes_on_from_the_step_that_failed(self, app: Polypool, hands: Hands, engine: EngineByHand) -> None:
        hands.put(Chain((call(), Group((call(), call(), call())), call())))
        hands.run_all(W_1_1=boom)
        again = app.workflow("W").retry()
        assert self.sent(engine, again.id) == {".1-1", ""}
        assert [id.removeprefix(again.id) for id in hands.run_all()] == [".1-1", ""]
        assert again.get(timeout=60) == again.id
        assert app.workflow("W").tree().root.state == "failed"

    def test_what_was_taken_over_is_what_the_steps_behind_it_read(
        self, app: Polypool, hands: Hands, engine: EngineByHand
    ) -> None:
        hands.put(Chain((call(), Group((call(), call())), call())))
        hands.run_all(W_1_1=boom)
        again = app.workflow("W").retry()
        (delivery,) = hands.take()
        assert [one.ref for one in delivery.message.flow.inputs] == [_one("W.0")]  # type: ignore[union-attr]
        hands.end(delivery, Done(encode(1)))
        (last,) = hands.take()
        assert "W.1-0" in repr(last.message.flow) and f"{again.id}.1-1" in repr(last.message.flow)

    def test_a_retry_that_failed_too_can_be_retried(self, app: Polypool, hands: Hands, engine: EngineByHand) -> None:
        hands.put(Chain((call(), call(), call(), call())))
        hands.run_all(W_1=boom)
        second = app.workflow("W").retry()
        hands.run_all(**{f"{second.id}_2": boom})
        third = app.workflow(second.id).retry()
        assert self.sent(engine, third.id) == {".2", ""}
        hands.run_all()
        tree = app.workflow(third.id).tree()
        assert [one.taken_from for one in tree.root.children] == ["W.0", f"{second.id}.1", None, None]
        assert [one.state for one in tree.root.children] == ["succeeded"] * 4

    async def test_a_cancelled_one_goes_on_too(self, app: Polypool, hands: Hands, engine: EngineByHand) -> None:
        hands.put(Chain((call(), call(), call())))
        hands.run()
        app.result("W").cancel()
        again = await app.workflow("W").aretry()
        assert self.sent(engine, again.id) == {".1", ""}

    def test_steps_whose_results_are_gone_and_needed_run_again(
        self, app: Polypool, hands: Hands, engine: EngineByHand, caplog: pytest.LogCaptureFixture
    ) -> None:
        hands.put(Chain((call(), call())))
        hands.run_all(W=boom)
        del engine.store.entries["W.0"]
        with caplog.at_level(logging.WARNING, "polypool.workflow"):
            again = app.workflow("W").retry()
        assert self.sent(engine, again.id) == {".0", ""}
        assert "1 steps run again because their results are no longer kept" in caplog.text

    def test_an_error_callback_is_there_again(self, app: Polypool, hands: Hands) -> None:
        hands.put(Chain((call(), call()), on_failure=(call("tell"),)))
        hands.run_all(W=boom)
        again = app.workflow("W").retry()
        ran = hands.run_all(**{again.id: boom})
        assert ran == [again.id, f"{again.id}!0"]

    @pytest.mark.parametrize("verb", ["retry", "replay"])
    def test_what_goes_on_is_refused(self, app: Polypool, hands: Hands, verb: str) -> None:
        hands.put(Group((call(), call())))
        first, second = hands.take()
        hands.end(first, boom(first))
        hands.run_all()
        assert app.result("W").status == "failed"
        with pytest.raises(NotRepeatable, match=r"workflow W has not ended: double W-1 is running. Wait .*cancel\(\)"):
            getattr(app.workflow("W"), verb)()
        hands.end(second, Done(encode(1)))
        assert isinstance(getattr(app.workflow("W"), verb)(), AsyncResult)

    def test_what_succeeded_is_replayed_and_not_retried(
        self, app: Polypool, hands: Hands, engine: EngineByHand
    ) -> None:
        hands.put(Chain((call(), call())))
        hands.run_all()
        with pytest.raises(NotRepeatable, match=r"workflow W succeeded.*app.workflow\('W'\).replay\(\)"):
            _ = app.workflow("W").retry()
        again = app.workflow("W").replay()
        assert self.sent(engine, again.id) == {".0", ""}
        hands.run_all()
        assert again.get(timeout=60) == again.id

    @pytest.mark.parametrize("verb", ["aretry", "areplay"])
    async def test_what_is_no_workflow_is_refused(self, app: Polypool, hands: Hands, verb: str) -> None:
        sent = app.tasks["double"].delay(1)
        with pytest.raises(NotRepeatable, match=rf"double {sent.id} is no workflow"):
            await getattr(app.workflow(sent.id), verb)()
        with pytest.raises(ResultUnknown, match="no task nobody is known"):
            await getattr(app.workflow("nobody"), verb)()
        hands.put(Chain((call(), call())))
        with pytest.raises(NotRepeatable, match=r"W.0 is a step of workflow W; only the whole .* app.workflow\('W'\)"):
            await getattr(app.workflow("W.0"), verb)()

    def test_members_that_came_from_a_generator_are_taken_over_or_refused(
        self, app: Polypool, hands: Hands, engine: EngineByHand
    ) -> None:
        lazily(engine, 1_200)
        hands.run_all(L=boom)
        again = app.workflow("L").retry()
        assert self.sent(engine, again.id) == {""}
        (delivery,) = hands.take()
        assert delivery.message.flow is not None
        assert [one.ref for one in delivery.message.flow.inputs] == [_one("L.0-all")]
        with pytest.raises(
            NotRepeatable, match=r"L cannot be replayed: the members of its group L.0 came from a gener"
        ):
            _ = app.workflow("L").replay()

    def test_a_failed_member_that_came_from_a_generator_is_refused(
        self, app: Polypool, hands: Hands, engine: EngineByHand
    ) -> None:
        lazily(engine, 1_200)
        hands.run_all(L_0_1100=boom)
        with pytest.raises(NotRepeatable, match=r"not kept. Send it again .* task_id="):
            _ = app.workflow("L").retry()


def _one(id: str) -> Any:
    from polypool.core.join import One

    return One(id)


def test_a_group_of_a_group_has_a_parent_too(app: Polypool, hands: Hands) -> None:
    hands.put(Chain((call(), Group((call(), call())))))
    assert isinstance(app.group_result("W"), GroupResult)
    assert app.group_result("W").parent == app.result("W.0")


SHAPES: list[Shape] = [Chain((call(), call())), Group((call(),)), Chord(Group((call(),)), call())]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: type(shape).__name__)
def test_what_was_replayed_is_what_was_sent(app: Polypool, hands: Hands, engine: EngineByHand, shape: Shape) -> None:
    hands.put(shape)
    hands.run_all()
    again = app.workflow("W").replay()
    assert {id.removeprefix(again.id) for id in known(engine) if id.startswith(again.id)} == {
        message.id.removeprefix("W") for message in messages(shape)
    }


def test_the_priority_of_a_workflow_is_that_of_its_retry(app: Polypool, hands: Hands, engine: EngineByHand) -> None:
    sent = compile(Chain((Call("double", encode(([], {}))),) * 2), "W", Ground(1.0, priority=7)).messages
    assert all(engine.there(engine.put(sent)))
    hands.run_all(W=boom)
    _ = app.workflow("W").retry()
    (delivery,) = hands.take()
    assert delivery.message.priority == 7
