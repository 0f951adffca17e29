"""The official client takes the stand-in for the real thing."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import openai
import pytest

from examples.photographs import CATALOGUE, as_taken
from examples.provider.app import Account, create_app
from examples.provider.limits import Limits
from tests.unit.examples.serving import served

FAST = 2000.0  # times as fast as published: an answer takes some 7 ms
QUESTION = "Where does glass go?\n- [a] Glass goes into the bottle bank.\n- [b] Cats go home."


@asynccontextmanager
async def provider(requests_per_minute: int = 10_000, scale: float = FAST) -> AsyncIterator[str]:
    limits = Limits(requests_per_minute, 10**9, scale, time.monotonic())
    async with served(create_app(Account(limits, scale))) as url:
        yield url


def client(url: str) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0)


async def ask(url: str, text: str = QUESTION) -> str:
    async with client(url) as api:
        completion = await api.chat.completions.create(model="m", messages=[{"role": "user", "content": text}])
    return completion.choices[0].message.content or ""


async def show(url: str, image_url: str) -> str:
    parts = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": image_url}}]
    async with client(url) as api:
        completion = await api.chat.completions.create(
            model="m",
            messages=[{"role": "user", "content": parts}],  # type: ignore[list-item,misc]
        )
    return completion.choices[0].message.content or ""


async def test_a_question_is_answered_from_its_facts() -> None:
    async with provider() as url:
        assert (await ask(url)).startswith("Glass goes into the bottle bank.")


async def test_a_photograph_is_named_as_json() -> None:
    async with provider() as url:
        photo = base64.b64encode(as_taken(CATALOGUE[0], seed=3)).decode()
        seen = json.loads(await show(url, f"data:image/jpeg;base64,{photo}"))
    assert seen["item"] == CATALOGUE[0].item


async def test_a_stream_brings_the_same_words_and_then_the_usage() -> None:
    async with provider() as url, client(url) as api:
        stream = await api.chat.completions.create(
            model="m",
            messages=[{"role": "user", "content": QUESTION}],
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]
        whole = await ask(url)
    words = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(words) == whole
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens > 0


async def test_over_the_limit_the_client_raises_rate_limit_error_and_is_told_when_to_come_back() -> None:
    async with provider(requests_per_minute=1, scale=60) as url:
        await ask(url)  # takes a quarter of a second; the next request is due after one
        with pytest.raises(openai.RateLimitError) as refused:
            await asyncio.gather(ask(url), ask(url))
        async with httpx.AsyncClient() as http:
            counted = (await http.get(f"{url}/stats")).json()
    assert refused.value.code == "rate_limit_exceeded"
    assert 0 < int(refused.value.response.headers["retry-after-ms"]) <= 1001
    assert counted["refused"] >= 1


async def test_what_is_no_image_is_refused_as_the_callers_mistake() -> None:
    async with provider() as url:
        for image_url in ("https://example.org/cat.jpg", "data:image/png;base64,####", "data:image/png;base64,aGk="):
            with pytest.raises(openai.BadRequestError):
                await show(url, image_url)


async def test_without_a_key_nothing_is_answered() -> None:
    async with provider() as url, httpx.AsyncClient() as http:
        answered = await http.post(f"{url}/v1/chat/completions", json={"model": "m", "messages": []})
        assert answered.status_code == 401


async def test_it_counts_what_ran_at_once() -> None:
    async with provider(scale=100) as url:
        await asyncio.gather(*(ask(url) for _ in range(8)))
        async with httpx.AsyncClient() as http:
            counted = (await http.get(f"{url}/stats")).json()
    assert (counted["requests"], counted["in_flight"]) == (8, 0)
    assert 2 <= counted["peak_in_flight"] <= 8
