"""The two requests to the language model: name what is on a picture, and say what to do with it.

Each has an estimate of the tokens that it costs at most, to be reserved before, and says afterwards what it cost.
"""

import base64
from collections.abc import AsyncIterator

import msgspec
from openai import AsyncOpenAI
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletionMessageParam

from examples.scan.rules import Rule
from examples.scan.settings import CHAT_MODEL, VISION_MODEL
from polypool import current

NAME_IT = (
    "Name the thing in this photo that somebody wants to dispose of. Answer with JSON only: "
    '{"item": "a few words", "material": "one or two words", "confidence": 0.0 to 1.0}'
)
SAY_HOW = (
    "You tell people how to dispose of things. Use nothing but the rules below; say it in two sentences, "
    "plainly, to somebody who stands in front of the bins."
)
NAME_TOKENS, ANSWER_TOKENS = 100, 250
IMAGE_TOKENS = 85  # in low detail
CHARACTERS_PER_TOKEN = 4  # the provider's own rule of thumb
TOKENS_KEY = "openai-tokens"


class Seen(msgspec.Struct):
    """What the vision model saw."""

    item: str
    material: str
    confidence: float


def tokens_to_name() -> float:
    """At most, with the longest answer."""
    return IMAGE_TOKENS + _tokens_in(NAME_IT) + NAME_TOKENS


def tokens_to_say(seen: Seen, rules: list[Rule]) -> float:
    """At most, with the longest answer."""
    return _tokens_in("\n".join(str(said["content"]) for said in _conversation(seen, rules))) + ANSWER_TOKENS


async def name_it(client: AsyncOpenAI, picture: bytes) -> Seen:
    data = base64.b64encode(picture).decode()
    completion = await client.chat.completions.create(
        model=VISION_MODEL,
        max_tokens=NAME_TOKENS,
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": NAME_IT},
                    {
                        "type": "image_url",
                        "image_url": {"url": f"data:image/jpeg;base64,{data}", "detail": "low"},
                    },
                ],
            }
        ],
    )
    _spend(completion.usage)
    answer = completion.choices[0].message.content or ""
    return msgspec.json.decode(answer.strip().removeprefix("```json").removesuffix("```"), type=Seen)


async def say_how(client: AsyncOpenAI, seen: Seen, rules: list[Rule]) -> AsyncIterator[str]:
    """The answer, a few letters at a time, as the model finds them."""
    stream = await client.chat.completions.create(
        model=CHAT_MODEL,
        max_tokens=ANSWER_TOKENS,
        stream=True,
        stream_options={"include_usage": True},
        messages=_conversation(seen, rules),
    )
    async for chunk in stream:
        _spend(chunk.usage)
        if chunk.choices and (words := chunk.choices[0].delta.content):
            yield words


def _conversation(seen: Seen, rules: list[Rule]) -> list[ChatCompletionMessageParam]:
    facts = "\n".join(f"- [{rule.name}] {rule.text}" for rule in rules)
    return [
        {"role": "system", "content": SAY_HOW},
        {"role": "user", "content": f"What do I do with this: {seen.item} ({seen.material})?\n\n{facts}"},
    ]


def _tokens_in(text: str) -> int:
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def _spend(usage: CompletionUsage | None) -> None:
    """What was reserved for this request and not used is free for others."""
    if usage is not None:
        current.spend(TOKENS_KEY, usage.total_tokens)
