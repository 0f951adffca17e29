"""What one sees of a workflow and does about it, on every engine: its tree, cancelling all of it, retry."""

from typing import Any

import pytest

from polypool.brokers.answer import converse
from polypool.canvas.compile import Ground, compile
from polypool.canvas.node import Node, Tree
from polypool.canvas.shape import Call, Chain, Chord, Group, Shape
from polypool.core.codec import encode
from polypool.core.decide import refuse
from polypool.core.join import Flow, Input, Next, One
from polypool.core.message import Delivery
from polypool.core.outcome import Cancelled, Done, Failed, Failure, Outcome, Replaced, Usage
from polypool.results.cancelling import cancel, cancel_members
from polypool.results.lineage import Relative, children_of, count_of, parent_of
from polypool.results.repeating import retry
from polypool.results.surveying import survey
from tests.conformance.scene import Scene

WORK = Call("app.work", encode(([], {})))
SCAN = Chain((WORK, Group((WORK, WORK, WORK)), WORK), on_failure=(WORK,))


async def send(scene: Scene, shape: Shape, id: str = "W") -> None:
    assert all(await scene.engine.broker.put(compile(shape, id, Ground(scene.clock())).messages))
    await scene.join()


async def run(scene: Scene, outcome: Any = None, only: str | None = None) -> list[str]:
    """Take what there is two seconds later, and end it after another second: so, or well."""
    scene.clock.move(2)  # type: ignore[attr-defined]
    await scene.join()
    taken = await scene.take()
    begun = scene.clock()
    scene.clock.move(1)  # type: ignore[attr-defined]
    await scene.join()
    for one in taken:
        refused = refuse(one, ["app.work"], scene.clock())
        wanted = outcome if only in (None, one.id) else None
        ended = wanted(one) if callable(wanted) else wanted
        assert await scene.settle(one, refused or ended or Done(encode(one.id), Usage(begun, 1.0)))
    return sorted(one.id for one in taken)


def returns(shape: Shape) -> Any:
    def replaced(delivery: Delivery) -> Outcome:
        id = delivery.id
        sent = compile(shape, f"{id}~", Ground(delivery.taken_at), tells=(Next(id),), keeps_plan=False).messages
        return Replaced(sent, Flow(1, inputs=(Input(One(f"{id}~")),), gathers=True, replacement=encode(shape)))

    return replaced


BOOM = Failed(Failure("builtins.ValueError", "boom"), Usage(1_000_000.0, 1.0))


async def seen(scene: Scene, id: str = "W") -> Tree:
    return await converse(scene.engine, survey(id, scene.clock()))


def states(node: Node) -> dict[str, str]:
    """Of the tasks in it."""
    own = {node.id: str(node.state)} if node.kind == "task" else {}
    return own | {id: state for child in node.children for id, state in states(child).items()}


async def test_the_tree_tells_how_long_each_step_was_queued_and_ran(scene: Scene) -> None:
    await send(scene, SCAN)
    assert states((await seen(scene)).root) == {
        "W.0": "queued",
        **dict.fromkeys(("W.1-0", "W.1-1", "W.1-2", "W", "W!0"), "scheduled"),
    }
    for _ in range(3):
        await run(scene)
    tree = await seen(scene)
    first, group, last = tree.root.children
    assert states(tree.root) == dict.fromkeys(("W.0", "W.1-0", "W.1-1", "W.1-2", "W"), "succeeded")
    assert [(one.queued, one.running) for one in (first, *group.children, last)] == [(2, 1)] * 5
    assert (tree.queued, tree.running, tree.total, tree.sent) == (6, 3, 9, tree.at - 9)
    assert [one.run for one in (first, last)] == [1, 1]


async def test_a_failure_and_what_was_not_run_stay_to_be_seen(scene: Scene) -> None:
    await send(scene, SCAN)
    await run(scene)
    await run(scene, BOOM, only="W.1-1")
    await run(scene)
    assert await run(scene) == ["W!0"]
    tree = await seen(scene)
    assert states(tree.root) == {
        **dict.fromkeys(("W.0", "W.1-0", "W.1-2", "W!0"), "succeeded"),
        **dict.fromkeys(("W.1-1", "W"), "failed"),
    }
    assert tree.root.children[2].because == "W.1-1"
    assert tree.root.children[1].children[1].error == "ValueError: boom"


async def test_relatives_are_known_by_the_id_alone_however_a_workflow_ended(scene: Scene) -> None:
    await send(scene, SCAN)
    for _ in range(3):
        assert await converse(scene.engine, parent_of("W")) == Relative("W.1", True, 3)
        assert await converse(scene.engine, parent_of("W.1-2")) == Relative("W.0")
        assert await converse(scene.engine, children_of("W.0")) == [Relative("W.1", True, 3)]
        assert await converse(scene.engine, count_of("W.1")) == 3
        await run(scene)


async def test_cancelling_ends_all_of_it_with_what_runs_were_replaced_by(scene: Scene) -> None:
    await send(scene, Chain((WORK, Chord(Group((WORK, WORK)), WORK)), on_failure=(WORK,)))
    await run(scene, returns(Group((WORK, Chain((WORK, WORK))))))
    held = await scene.take(1)
    assert await converse(scene.engine, cancel("W"))
    for one in held:
        assert await scene.settle(one, Cancelled())
    assert await scene.take() == []
    assert set(states((await seen(scene)).root).values()) == {"cancelled"}
    assert not await converse(scene.engine, cancel("W"))
    assert sum(count.scheduled + count.queued for count in await scene.engine.inspector.lanes()) == 0


async def test_a_group_counts_the_members_that_it_ends(scene: Scene) -> None:
    await send(scene, Group(tuple(Chain((WORK, WORK)) for _ in range(4))))
    await run(scene)
    [one] = await scene.take(1)
    assert await scene.settle(one)
    assert await converse(scene.engine, cancel_members("W", None)) == 3
    assert await scene.take() == []


@pytest.mark.parametrize("times", [1, 2])
async def test_a_retry_goes_on_from_where_it_failed_and_can_be_retried(scene: Scene, times: int) -> None:
    await send(scene, SCAN)
    await run(scene)
    await run(scene, BOOM, only="W.1-1")
    await run(scene)
    await run(scene)
    former = "W"
    for number in range(times):
        again = f"N{number}"
        sent = await converse(scene.engine, retry(former, again, scene.clock()))
        assert (sent.reused, sent.run, sent.gone) == (3, 3, 0)
        assert await run(scene, BOOM if number + 1 < times else None) == [f"{again}.1-1"]
        assert await run(scene) == [again]
        former = again
        if number + 1 < times:
            assert await run(scene) == [f"{again}!0"]
    tree = await seen(scene, former)
    group = tree.root.children[1]
    assert [one.taken_from for one in (tree.root.children[0], *group.children)] == ["W.0", "W.1-0", None, "W.1-2"]
    assert (tree.root.state, tree.queued, tree.running) == ("succeeded", 4, 2)
