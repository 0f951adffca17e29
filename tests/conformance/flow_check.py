"""Whether what came of workflows is what the oracle says, to the last step."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from polypool.canvas.shape import Shape
from polypool.core.codec import decode_any
from polypool.core.gather import whole
from polypool.core.lifecycle import State
from polypool.core.message import Message
from tests.conformance.flow_hands import Hands
from tests.conformance.flow_oracle import Played, play

WINDOW = 500


@dataclass(frozen=True)
class Workflow:
    """One that was sent. `id` is that of its last step."""

    id: str
    shape: Shape
    messages: Sequence[Message]


async def check(hands: Hands, workflows: Sequence[Workflow]) -> None:
    """All that must hold once nothing waits or runs any more."""
    runs: Counter[str] = Counter()
    for workflow in workflows:
        played = play(workflow.shape)
        await _check_ending(hands, workflow, played)
        _check_told(hands, played)
        runs += played.runs
    assert hands.seen.runs == runs, "each step runs once to its end, and what is not to run does not"
    await check_states(hands, workflows)
    for settlement in hands.stale:
        assert not await hands.settle_again(settlement), "what was settled is not settled again"


async def _check_ending(hands: Hands, workflow: Workflow, played: Played) -> None:
    [record] = await hands.engine.results.read([workflow.id])
    assert record is not None, workflow.id
    if played.ending.causes:
        assert record.state is State.FAILED and record.failure is not None, record
        origin = record.failure.origin.id if record.failure.origin is not None else record.id
        assert hands.seen.labels[origin] in played.ending.causes
        assert record.failure.message == hands.seen.labels[origin]
    else:
        assert record.state is State.SUCCEEDED, record
        assert decode_any(await hands.asked(whole(record.value))) == played.ending.value


def _check_told(hands: Hands, played: Played) -> None:
    """Error callbacks were told of the step that failed."""
    for label, causes in played.told.items():
        told = [hands.seen.labels[id] for id in hands.seen.told[label]]
        assert len(told) == 1 and set(told) <= causes, (label, told, causes)


async def check_states(hands: Hands, workflows: Sequence[Workflow]) -> None:
    """Whatever was sent has ended, once, or is gone because it was not needed."""
    assert set(hands.seen.ended.values()) <= {1}, "each ends once"
    ids = [message.id for workflow in workflows for message in workflow.messages]
    for start in range(0, len(ids), WINDOW):
        some = ids[start : start + WINDOW]
        for id, record in zip(some, await hands.engine.results.read(some), strict=True):
            if record is None:
                assert id not in hands.seen.ended, f"{id} ended and was forgotten"
            else:
                assert record.state.is_final, record
