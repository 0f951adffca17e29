"""Fills an engine with what commands are to show. Only through its ports, so any engine can be filled."""

import asyncio
import time
from collections.abc import Sequence

from msgspec.structs import replace

from polypool.core.codec import encode
from polypool.core.decide import decide
from polypool.core.measure import Tally
from polypool.core.message import Delivery, Lane, Message
from polypool.core.outcome import Dead, Done, Failed, Failure, Outcome, Usage
from polypool.core.port import Engine
from polypool.core.report import Heartbeat, PoolReport

LANE = Lane("default", "threads")


def message(id: str, task: str = "scan.rule", lane: Lane = LANE, **more: object) -> Message:
    sent = Message(
        id=id,
        task=task,
        args=encode([[1, "two"], {"key": 3}]),
        queue=lane.queue,
        pool=lane.pool,
        sent_at=time.time(),
    )
    return replace(sent, **more)


def heartbeat(tallies: Sequence[Tally] = (), name: str = "w1", pools: Sequence[PoolReport] = ()) -> Heartbeat:
    return Heartbeat(
        worker=name,
        host="here",
        pid=42,
        started_at=time.time() - 90,
        lease=60.0,
        app="scan",
        queues=("default", "fast"),
        pools=tuple(pools) or (PoolReport("threads", 1, 32, 5, 61_000_000), PoolReport("prefork", 2, 2, 2)),
        tallies=tuple(tallies),
    )


def put(engine: Engine, *messages: Message) -> None:
    asyncio.run(_put(engine, messages))


def work(engine: Engine, tallies: Sequence[Tally] = (), pools: Sequence[PoolReport] = ()) -> None:
    """A worker gives a sign of life with what it measured."""
    asyncio.run(_beat(engine, heartbeat(tallies, pools=pools)))


def end(engine: Engine, sent: Message, outcome: Outcome) -> None:
    """A message is sent, taken and ended with this outcome."""
    asyncio.run(_end(engine, sent, outcome))


def succeed(engine: Engine, id: str, value: object) -> None:
    end(engine, message(id), Done(encode(value), Usage(time.time(), 1.5, 0.3)))


def fail(engine: Engine, id: str) -> None:
    failure = Failure(
        "builtins.ValueError", "no such bin", 'Traceback\n  File "scan.py", line 3\nValueError: no such bin'
    )
    end(engine, message(id), Failed(failure))


def kill(engine: Engine, id: str, **more: object) -> None:
    end(engine, message(id, **more), Dead("unknown task 'scan.rule'; deploy the code that has it"))


async def _put(engine: Engine, messages: Sequence[Message]) -> None:
    assert all(await engine.broker.put(messages))


async def _beat(engine: Engine, sign: Heartbeat) -> None:
    await engine.broker.beat(sign)


async def _end(engine: Engine, sent: Message, outcome: Outcome) -> None:
    await engine.broker.beat(heartbeat())
    assert all(await engine.broker.put([sent]))
    taken: Sequence[Delivery] = await engine.broker.take([sent.lane], 1000, "w1", 0.0)
    (delivery,) = [each for each in taken if each.id == sent.id]
    assert all(await engine.broker.settle([decide(delivery, outcome, time.time(), lambda: 0.0)]))
