"""What RabbitMQ itself gives: publish with confirms, consume and acknowledge, by a loop over nothing but frames.

No backend, no results, no decoding: the bodies are thrown away. Beside it, in the same run, one worker's drain of no-op
tasks with Redis as its backend: enrolled, published, confirmed, claimed, run, settled with results, acknowledged.
"""

import asyncio
import os
import time

from pamqp import commands

from bench.private_redis import private_redis
from bench.reading import CannotMeasure
from polypool.brokers.rabbitmq import frames
from polypool.brokers.rabbitmq.frames import Confirmed, Delivered, Envelope
from polypool.brokers.rabbitmq.options import Options
from polypool.brokers.rabbitmq.wire import dial
from tests.engines.rabbitmq import Server

BODY = os.urandom(200)
WAVE = 400
PREFETCH = 1000
WITHIN_S = 30


async def raw(url: str, count: int, queue_type: str = "quorum") -> tuple[float, float]:
    """Messages a second published and confirmed, and consumed and acknowledged."""
    wire = await dial(Options.parse(url), "raw")
    await wire.open_channel(1)
    arguments = {"x-queue-type": queue_type}
    await wire.call(1, commands.Queue.Declare(queue=f"raw-{queue_type}", durable=True, arguments=arguments))
    published = await _publish(wire, f"raw-{queue_type}", count)
    consumed = await _consume(wire, f"raw-{queue_type}", count)
    await wire.close()
    return published, consumed


async def _publish(wire, queue: str, count: int) -> float:  # type: ignore[no-untyped-def]
    highest, told = 0, asyncio.Event()

    def confirmed(confirmed: Confirmed) -> None:
        nonlocal highest
        highest = max(highest, confirmed.tag)
        told.set()

    wire.on_confirmed = confirmed
    await wire.call(1, commands.Confirm.Select())
    envelope = Envelope(1, queue)
    start = time.perf_counter()
    for at in range(0, count, WAVE):
        wire.write(b"".join(envelope.around(BODY, wire.frame_max) for _ in range(WAVE)))
        while highest < (at + WAVE if at + WAVE >= count else at - 2 * WAVE):
            told.clear()
            await told.wait()
    return count / (time.perf_counter() - start)


async def _consume(wire, queue: str, count: int) -> float:  # type: ignore[no-untyped-def]
    seen, last, arrived = 0, 0, asyncio.Event()

    def delivered(delivered: Delivered) -> None:
        nonlocal seen, last
        seen, last = seen + 1, delivered.tag
        arrived.set()

    wire.on_delivered = delivered
    await wire.call(1, commands.Basic.Qos(prefetch_count=PREFETCH))
    start = time.perf_counter()
    await wire.call(1, commands.Basic.Consume(queue=queue))
    while True:
        if last:
            wire.write(frames.ack(1, last, True))
        if seen >= count:
            return count / (time.perf_counter() - start)
        arrived.clear()
        await arrived.wait()


def client(url: str, count: int) -> float:
    """Messages a second that py-amqp consumes from a quorum queue, acknowledging each, in a loop of its own."""
    try:
        import amqp
    except ImportError:
        raise CannotMeasure("py-amqp is what to compare with: pip install amqp") from None
    asyncio.run(_fill(url, "client", count))
    seen = 0
    with amqp.Connection(host=url.rpartition("@")[2], userid="guest", password="guest") as connection:
        channel = connection.channel()
        channel.basic_qos(0, PREFETCH, False)

        def arrived(message) -> None:  # type: ignore[no-untyped-def]
            nonlocal seen
            seen += 1
            channel.basic_ack(message.delivery_tag)

        start = time.perf_counter()
        channel.basic_consume("client", callback=arrived)
        while seen < count:
            connection.drain_events(timeout=WITHIN_S)
        return count / (time.perf_counter() - start)


async def _fill(url: str, queue: str, count: int) -> None:
    wire = await dial(Options.parse(url), "raw")
    await wire.open_channel(1)
    await wire.call(1, commands.Queue.Declare(queue=queue, durable=True, arguments={"x-queue-type": "quorum"}))
    await _publish(wire, queue, count)
    await wire.close()


def measure(count: int) -> None:
    """Print both, on servers of their own."""
    from bench.drain import drain
    from bench.send import delay_rate, map_rate

    server = Server()
    try:
        with private_redis() as backend:
            os.environ["POLYPOOL_BACKEND"] = backend
            published, consumed = asyncio.run(raw(server.url, count))
            rate, cpu = drain(count, f"{server.url}?prefix=drain")
            library = client(server.url, count)
            one, many = delay_rate(2_000, f"{server.url}?prefix=one"), map_rate(count, f"{server.url}?prefix=many")
    finally:
        server.remove()
    print(f"raw frames, quorum queue: published {published:,.0f}/s, consumed {consumed:,.0f}/s")
    print(f"py-amqp: consumed and acknowledged one by one {library:,.0f}/s")
    print(f"one worker's drain: {rate:,.0f} tasks/s ({rate / consumed:.0%}), {cpu * 1e6:.0f} µs of its supervisor each")
    print(f"delay one by one: {one:,.0f}/s, map: {many:,.0f}/s")


if __name__ == "__main__":
    measure(20_000)
