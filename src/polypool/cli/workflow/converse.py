"""Conversations with an engine that is opened for one of them."""

import asyncio
from typing import TypeVar

from polypool.brokers.answer import converse
from polypool.cli.engine import opened
from polypool.cli.look import Looking
from polypool.conversation import Conversation

T = TypeVar("T")


def converse_with(to: Looking, conversation: Conversation[T]) -> T:
    """Carry it through with the engine that a command looks at."""

    async def run() -> T:
        async with opened(to.where) as engine:
            return await converse(engine, conversation)

    return asyncio.run(run())
