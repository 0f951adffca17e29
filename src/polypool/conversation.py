"""Conversation: asks, one after the other, and what comes of them. Written once as a generator; here it is carried
through over a process's line, blocking or awaited (over an engine: `brokers/answer.py`)."""

from collections.abc import Generator
from typing import Any, TypeVar

from polypool.core.ask import Ask
from polypool.core.port import Answer, Line

T = TypeVar("T")

Conversation = Generator[Ask, Any, T]


def hold(line: Line, conversation: Conversation[T], answer: Answer | None = None) -> T:
    """Carry it through, blocking at each ask; `answer` is that to the first one, if it is on its way."""
    try:
        if answer is None:
            answer = line.ask(next(conversation))
        while True:
            answer = line.ask(conversation.send(answer.result()))
    except StopIteration as end:
        outcome: T = end.value
        return outcome


async def ahold(line: Line, conversation: Conversation[T], answer: Answer | None = None) -> T:
    """The same, awaiting each ask."""
    try:
        if answer is None:
            answer = line.ask(next(conversation))
        while True:
            answer = line.ask(conversation.send(await answer))
    except StopIteration as end:
        outcome: T = end.value
        return outcome
