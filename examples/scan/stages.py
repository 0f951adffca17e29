"""The stages of the pipeline in their order, the pool that each one runs in, and how those of one scan stand."""

import msgspec

from polypool import Polypool

STAGES = {
    "shrink": "prefork",
    "vision": "asyncio",
    "rule": "threads",
    "answer": "asyncio",
    "reward": "threads",
}


class Stage(msgspec.Struct):
    """One stage of one scan."""

    stage: str
    pool: str
    state: str
    """to come, waiting, running, succeeded, failed, cancelled, or not run (because one before it had failed)."""
    seconds: float | None = None
    """Since the stage before it had ended, until this one ended or now."""
    waited: float | None = None
    """How many of them it waited, for a place or for its turn at the provider; known once it has ended."""
    error: str | None = None


async def stages_of(app: Polypool, scan: str) -> list[Stage]:
    """How the stages of a scan stand now, by their records. ResultUnknown."""
    tree = await app.workflow(scan).atree()
    stages: list[Stage] = []
    may_begin = True
    for node, (name, pool) in zip(tree.root.children, STAGES.items(), strict=True):
        state = str(node.state)
        if node.because is not None:
            state = "not run"
        elif state in ("queued", "scheduled"):
            state = "waiting" if may_begin else "to come"
        stage = Stage(name, pool, state)
        if node.ready is not None and state not in ("to come", "not run"):
            stage.seconds = max(0.0, (node.ended or tree.at) - node.ready)
            stage.waited = node.queued
        if node.error is not None:
            stage.error = node.error.partition(": ")[2] or node.error
        stages.append(stage)
        may_begin = state == "succeeded"
    return stages
