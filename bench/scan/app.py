"""The pipeline that is measured: four tasks in a chain, two of which ask the provider. A worker loads it.

It is examples/scan less what costs processor time of its own (shrinking photos, searching rules): the rest is the same,
its stages take the published times, and the machine is left to what is measured.
"""

import asyncio
import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from bench.scan.asking import ANSWER_TOKENS, BODIES, tokens
from bench.scan.client import Client
from bench.scan.plan import MINUTE_S, STAGES
from polypool import Polypool, Rate, chain, current

PROVIDER, SCALE, REQUESTS, TOKENS = "BENCH_PROVIDER", "BENCH_SCALE", "BENCH_REQUESTS", "BENCH_TOKENS"
"""Names in the environment: the provider's address, the scale, and its limits a published minute."""
PROMPT_TOKENS = 120

chance = random.Random()
scale = float(os.environ.get(SCALE, "1"))
minute = f"{MINUTE_S / scale:.9f}s"
"""The provider's own window at this scale: where it says another amount, that is for the same time."""


def estimate(*_: object) -> float:
    """The tokens that a call may use at most."""
    return PROMPT_TOKENS + ANSWER_TOKENS


PROVIDERS = [
    Rate("provider", f"{os.environ.get(REQUESTS, '500')}/{minute}"),
    Rate("provider-tokens", f"{os.environ.get(TOKENS, '500000')}/{minute}", cost=estimate),
]


@asynccontextmanager
async def lifespan(_: Polypool) -> AsyncIterator[Client]:
    client = Client(os.environ[PROVIDER] + "/chat/completions")
    yield client
    client.close()


app = Polypool("scan", lifespan=lifespan)


@app.task(limits=PROVIDERS)
async def vision(user: int) -> int:
    current.progress(0, len(STAGES), "vision")
    return await ask("vision", user)


@app.task
async def rule(user: int) -> int:
    return await stay("rule", user)


@app.task(limits=PROVIDERS)
async def answer(user: int) -> int:
    return await ask("answer", user)


@app.task
async def reward(user: int) -> int:
    return await stay("reward", user)


async def ask(stage: str, user: int) -> int:
    current.spend("provider-tokens", tokens(await current.state.post(BODIES[stage])))
    return user


async def stay(stage: str, user: int) -> int:
    await asyncio.sleep(STAGES[stage].scaled(scale).draw(chance))
    return user


def scan(user: int) -> "chain[Any]":
    return chain(vision.s(user), rule.s(), answer.s(), reward.s())
