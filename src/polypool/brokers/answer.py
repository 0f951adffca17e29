"""Serve an Ask against an engine: the one place that knows which port a request is for."""

from collections.abc import Generator
from typing import Any, TypeVar

from polypool.core.ask import Ask, Await, Cancel, Find, Follow, Put, Read, Reply, Seal, Spend, Written
from polypool.core.port import Engine

T = TypeVar("T")


async def converse(engine: Engine, conversation: Generator[Ask, Any, T]) -> T:
    """Answer one ask after the other, to what comes of them."""
    try:
        ask = next(conversation)
        while True:
            ask = conversation.send(await answer(engine, ask))
    except StopIteration as end:
        outcome: T = end.value
        return outcome


async def answer(engine: Engine, ask: Ask) -> Reply:
    """Do what is asked; errors of the engine are the caller's."""
    match ask:
        case Put(messages):
            return list(await engine.broker.put(messages))
        case Read(ids):
            return list(await engine.results.read(ids))
        case Await(ids, wait):
            return list(await engine.results.wait(ids, wait))
        case Follow(id, after, wait):
            return await engine.bus.follow(id, after, wait)
        case Cancel(ids):
            return list(await engine.broker.cancel(ids))
        case Seal(id, places):
            return await engine.broker.seal(id, places)
        case Find(search):
            return list(await engine.inspector.find(search))
        case Written():
            return True  # events that nobody holds in between are written when they are told
        case Spend():
            return False  # a worker keeps its runs' books itself
