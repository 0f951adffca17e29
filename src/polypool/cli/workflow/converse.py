"""Conversations with an engine that a command has opened itself."""

import asyncio
from typing import TypeVar

from polypool.brokers.answer import answer
from polypool.cli.engine import opened
from polypool.cli.look import Looking
from polypool.core.port import Engine
from polypool.outlet import Conversation

T = TypeVar("T")


async def converse(engine: Engine, conversation: Conversation[T]) -> T:
    """Carry it through."""
    try:
        ask = next(conversation)
        while True:
            ask = conversation.send(await answer(engine, ask))
    except StopIteration as end:
        outcome: T = end.value
        return outcome


def converse_with(to: Looking, conversation: Conversation[T]) -> T:
    """The same, with an engine opened for this alone."""

    async def run() -> T:
        async with opened(to.where) as engine:
            return await converse(engine, conversation)

    return asyncio.run(run())
