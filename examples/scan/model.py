"""The two requests to the language model: name what is on a picture, and say what to do with it."""

import base64
from collections.abc import AsyncIterator

import msgspec
from openai import AsyncOpenAI

from examples.scan.rules import Rule
from examples.scan.settings import CHAT_MODEL, VISION_MODEL

NAME_IT = (
    "Name the thing in this photo that somebody wants to dispose of. Answer with JSON only: "
    '{"item": "a few words", "material": "one or two words", "confidence": 0.0 to 1.0}'
)
SAY_HOW = (
    "You tell people how to dispose of things. Use nothing but the rules below; say it in two sentences, "
    "plainly, to somebody who stands in front of the bins."
)
NAME_TOKENS, ANSWER_TOKENS = 100, 250


class Seen(msgspec.Struct):
    """What the vision model saw."""

    item: str
    material: str
    confidence: float


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
    answer = completion.choices[0].message.content or ""
    return msgspec.json.decode(answer.strip().removeprefix("```json").removesuffix("```"), type=Seen)


async def say_how(client: AsyncOpenAI, seen: Seen, rules: list[Rule]) -> AsyncIterator[str]:
    """The answer, a few letters at a time, as the model finds them."""
    facts = "\n".join(f"- [{rule.name}] {rule.text}" for rule in rules)
    stream = await client.chat.completions.create(
        model=CHAT_MODEL,
        max_tokens=ANSWER_TOKENS,
        stream=True,
        messages=[
            {"role": "system", "content": SAY_HOW},
            {"role": "user", "content": f"What do I do with this: {seen.item} ({seen.material})?\n\n{facts}"},
        ],
    )
    async for chunk in stream:
        if chunk.choices and (words := chunk.choices[0].delta.content):
            yield words
