"""The pipeline: photo → shrink → vision → rule → answer → reward, a chain, each stage in the pool that suits it.

Run it with `polypool worker examples.scan.app:app`; one worker hosts all of the pools.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

import msgspec
import openai

from examples.scan.characters import build_cache, meet
from examples.scan.model import TOKENS_KEY, Seen, name_it, say_how, tokens_to_name, tokens_to_say
from examples.scan.pictures import shrink_picture
from examples.scan.rules import Rule, find_rules
from examples.scan.settings import BROKER, FOLDER, REQUESTS, TOKENS
from polypool import Polypool, Rate, chain, current


class Advice(msgspec.Struct):
    """What is known of a thing before anything is said about it."""

    seen: Seen
    rules: list[Rule]


class Answer(msgspec.Struct):
    """What is said about it."""

    advice: Advice
    words: str


class Scan(msgspec.Struct):
    """What a user gets for a photo."""

    item: str
    material: str
    answer: str
    rules: list[str]
    character: str
    greeting: str


@asynccontextmanager
async def lifespan(_: Polypool) -> AsyncIterator[openai.AsyncOpenAI]:
    """One client a child process, so that its connections are kept and shared.

    It reads OPENAI_BASE_URL and OPENAI_API_KEY. Trying again is polypool's business, hence max_retries=0:
    a task that waits for its next attempt holds no slot.
    """
    async with openai.AsyncOpenAI(max_retries=0) as client:
        yield client


app = Polypool("scan", broker=BROKER, lifespan=lifespan)

# What passes by itself: a broken connection, a server in trouble. A 429 costs no retry: it pauses the limits for all.
PASSING = (openai.APIConnectionError, openai.InternalServerError)
# A model that was asked for JSON says something else now and then.
UNCLEAR = (*PASSING, msgspec.DecodeError)


# Shared by both tasks that ask the provider, on all workers. A task that waits for its turn holds no slot.
ONE_REQUEST = Rate("openai", REQUESTS)


def tokens_of_vision(picture: str) -> float:
    return tokens_to_name()


def tokens_of_answer(advice: Advice) -> float:
    return tokens_to_say(advice.seen, advice.rules)


def scan(photo: str) -> chain[Scan]:
    """What a photo goes through: sent at once, and each stage gets what the one before it returned."""
    return chain(shrink.s(photo), vision.s(), rule.s(), answer.s(), reward.s())


# CPU: a process each, and a hard limit that really kills it.
@app.task(pool="prefork", timeout=30)
def shrink(photo: str) -> str:
    picture = Path(photo).with_suffix(".small.jpg")
    picture.write_bytes(shrink_picture(Path(photo).read_bytes()))
    return str(picture)


# async def: the event loop. What it costs is reserved before it begins, and corrected by what it did cost (model.py).
@app.task(
    limits=[ONE_REQUEST, Rate(TOKENS_KEY, TOKENS, cost=tokens_of_vision)],
    autoretry_for=UNCLEAR,
    max_retries=10,
    retry_backoff=0.5,
    retry_backoff_max=10,
    timeout=120,
)
async def vision(picture: str) -> Seen:
    return await name_it(current.state, await asyncio.to_thread(Path(picture).read_bytes))


# def: a thread each.
@app.task
def rule(seen: Seen) -> Advice:
    return Advice(seen, find_rules(f"{seen.item} {seen.material}"))


@app.task(
    limits=[ONE_REQUEST, Rate(TOKENS_KEY, TOKENS, cost=tokens_of_answer)],
    autoretry_for=PASSING,
    max_retries=10,
    retry_backoff=0.5,
    retry_backoff_max=10,
    timeout=120,
)
async def answer(advice: Advice) -> Answer:
    words = []
    async for word in say_how(current.state, advice.seen, advice.rules):
        current.emit(word)
        words.append(word)
    return Answer(advice, "".join(words))


@app.task
def reward(answer: Answer) -> Scan:
    seen = answer.advice.seen
    turn = int.from_bytes(hashlib.blake2b(seen.item.encode(), digest_size=4).digest())
    character = meet(character_cache(), seen.material, turn)
    rules = [each.name for each in answer.advice.rules]
    return Scan(seen.item, seen.material, answer.words, rules, character.name, character.greeting)


@cache
def character_cache() -> Path:
    path = FOLDER / "characters.db"
    build_cache(path)
    return path
