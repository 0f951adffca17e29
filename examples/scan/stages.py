"""The stages of the pipeline in their order, and the pool that each one runs in."""

STAGES = {
    "shrink": "prefork",
    "vision": "asyncio",
    "rule": "threads",
    "answer": "asyncio",
    "reward": "threads",
}
