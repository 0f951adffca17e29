"""The shapes of OpenAI's chat completions: what a request may say, what answers look like.

Source: the public API reference, "Chat completions", "Streaming", "Errors" and "Rate limits".
"""

import base64
import binascii
import re
from collections.abc import Iterable
from typing import Any

import msgspec

from examples.provider.limits import Level, Verdict

Json = dict[str, Any]

CHARACTERS_PER_TOKEN = 4  # the rule of thumb of the provider's own documentation for English
TOKENS_PER_IMAGE = 85  # an image in low detail
ANSWER_TOKENS = 256  # set aside for the answer when a request does not say max_tokens
DATA_URL = re.compile(r"data:image/[a-z+.-]+;base64,", re.IGNORECASE)


class BadRequest(ValueError):
    """The request is not one that the API takes; the text says why."""


class ImageUrl(msgspec.Struct):
    url: str


class Part(msgspec.Struct):
    type: str
    text: str = ""
    image_url: ImageUrl | None = None


class Utterance(msgspec.Struct):
    role: str
    content: str | list[Part] = ""


class StreamOptions(msgspec.Struct):
    include_usage: bool = False


class ChatRequest(msgspec.Struct):
    model: str
    messages: list[Utterance]
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None

    def parts(self) -> Iterable[Part]:
        for message in self.messages:
            if isinstance(message.content, str):
                yield Part("text", message.content)
            else:
                yield from message.content

    def text(self) -> str:
        return "\n".join(part.text for part in self.parts() if part.type == "text")

    def images(self) -> list[bytes]:
        """The pictures that came with the request, as bytes."""
        return [
            image_bytes(part.image_url.url)
            for part in self.parts()
            if part.type == "image_url" and part.image_url is not None
        ]

    def prompt_tokens(self) -> int:
        images = sum(part.type == "image_url" for part in self.parts())
        return tokens_in(self.text()) + TOKENS_PER_IMAGE * images

    def tokens_at_most(self) -> int:
        """What counts against the limit when the request comes in: the prompt and the longest answer."""
        return self.prompt_tokens() + (self.max_completion_tokens or self.max_tokens or ANSWER_TOKENS)


_decoder = msgspec.json.Decoder(ChatRequest)


def read_chat_request(body: bytes) -> ChatRequest:
    try:
        request = _decoder.decode(body)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise BadRequest(f"Invalid request: {error}") from error
    if not request.messages:
        raise BadRequest("Invalid 'messages': empty array. Expected an array with minimum length 1.")
    return request


def image_bytes(url: str) -> bytes:
    head = DATA_URL.match(url)
    if head is None:
        raise BadRequest("This stand-in fetches nothing: send images as data:image/…;base64,… URLs.")
    try:
        return base64.b64decode(url[head.end() :], validate=True)
    except binascii.Error as error:
        raise BadRequest(f"Invalid base64 image_url: {error}") from error


def tokens_in(text: str) -> int:
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def usage(request: ChatRequest, answer: str) -> Json:
    prompt, completion = request.prompt_tokens(), tokens_in(answer)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def completion(request: ChatRequest, answer_id: str, created: int, answer: str) -> Json:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": answer, "refusal": None},
        "logprobs": None,
        "finish_reason": "stop",
    }
    return {
        "id": answer_id,
        "object": "chat.completion",
        "created": created,
        "model": request.model,
        "choices": [choice],
        "usage": usage(request, answer),
    }


def chunk(request: ChatRequest, answer_id: str, created: int, delta: Json, finish: str | None = None) -> Json:
    return {
        "id": answer_id,
        "object": "chat.completion.chunk",
        "created": created,
        "model": request.model,
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}],
    }


def usage_chunk(request: ChatRequest, answer_id: str, created: int, answer: str) -> Json:
    """The last chunk of a stream whose request asked for usage: it has no choices."""
    return chunk(request, answer_id, created, {}) | {"choices": [], "usage": usage(request, answer)}


def error_body(message: str, kind: str, code: str | None = None) -> Json:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def limit_headers(verdict: Verdict) -> dict[str, str]:
    """The x-ratelimit headers that every answer has, and Retry-After where the request was refused."""
    headers = _level_headers("requests", verdict.requests) | _level_headers("tokens", verdict.tokens)
    if not verdict.granted:
        headers["retry-after-ms"] = str(int(verdict.retry_after_s * 1000) + 1)
        headers["retry-after"] = str(int(verdict.retry_after_s) + 1)  # whole seconds, RFC 9110
    return headers


def _level_headers(noun: str, level: Level) -> dict[str, str]:
    return {
        f"x-ratelimit-limit-{noun}": str(level.limit),
        f"x-ratelimit-remaining-{noun}": str(level.remaining),
        f"x-ratelimit-reset-{noun}": duration(level.full_in_s),
    }


def duration(seconds: float) -> str:
    """Seconds as the provider writes them: 120ms, 8.64s, 6m0s."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    if seconds < 60:
        return f"{seconds:.2f}".rstrip("0").rstrip(".") + "s"
    return f"{int(seconds // 60)}m{int(seconds % 60)}s"


def limit_message(model: str, verdict: Verdict, tokens: int) -> str:
    by_requests = verdict.stopped_by == "requests"
    level, noun, asked = (verdict.requests, "RPM", 1) if by_requests else (verdict.tokens, "TPM", tokens)
    return (
        f"Rate limit reached for {model} on {verdict.stopped_by} per min ({noun}): Limit {level.limit}, "
        f"Used {level.limit - level.remaining}, Requested {asked}. "
        f"Please try again in {duration(verdict.retry_after_s)}."
    )
