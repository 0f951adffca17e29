"""RabbitMQ that goes away, comes back, hangs, is cut off in the middle of a frame, is full, or loses its patience."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from polypool.brokers.rabbitmq import broker, sender
from polypool.core.error import EngineFull
from polypool.core.join import Flow, Next
from polypool.core.message import Delivery
from tests.conformance.scene import LANE, Scene, eventually, ids, message
from tests.engines import rabbitmq
from tests.engines.proxy import Proxy

LONG = 90.0
pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def server() -> Iterator[rabbitmq.Server]:
    """One to be stopped and starved. It has little patience with consumers."""
    made = rabbitmq.Server({"consumer_timeout": "3000"}, "-rabbit channel_tick_interval 500")
    yield made
    made.remove()


@pytest.fixture
async def front(server: rabbitmq.Server, request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    prefix = f"out-{time.time_ns()}"
    scene = Scene(f"{server.url}?prefix={prefix}&timeout=3&{getattr(request, 'param', '')}", time.time, "memory://")
    await scene.engine.broker.open()
    await scene.join(lease=1000.0)
    yield scene
    await scene.engine.broker.close()


async def drained(scene: Scene, count: int) -> list[str]:
    """Take and settle until so many have come."""
    seen: list[str] = []
    deadline = time.monotonic() + LONG
    while len(seen) < count:
        assert time.monotonic() < deadline, f"only {len(seen)} of {count} came"
        taken = await scene.engine.broker.take([LANE], 50, "w1", 1.0)
        assert all([await scene.settle(delivery) for delivery in taken])
        seen += ids(taken)
    return seen


async def is_accepted(scene: Scene, id: str) -> bool:
    """A server does not notice at once that it has room again."""
    try:
        return (await scene.engine.broker.put([message(id)]))[0]
    except EngineFull:
        return False


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
async def test_what_waits_survives_a_restart_of_the_server(
    server: rabbitmq.Server, front: Scene, how: signal.Signals
) -> None:
    await front.put("first")
    assert await drained(front, 1) == ["first"]
    # RabbitMQ 3.10 itself loses a quorum queue that is killed in its first seconds; one that was stopped once is safe.
    await asyncio.to_thread(server.stop)
    await asyncio.to_thread(server.start)
    await front.put(*(str(n) for n in range(100)))
    held = list(await front.engine.broker.take([LANE], 10, "w1", LONG))
    await asyncio.to_thread(server.stop, how)
    assert all([await front.settle(delivery) for delivery in held])
    await front.put("while-it-is-away")
    restarting = asyncio.to_thread(server.start)
    seen, _ = await asyncio.gather(drained(front, 101 - len(held)), restarting)
    assert sorted([*seen, *ids(held)]) == sorted([*(str(n) for n in range(100)), "while-it-is-away"])


async def test_a_server_that_hangs_keeps_nobody_from_sending_and_taking(server: rabbitmq.Server, front: Scene) -> None:
    await front.put("before")
    assert await drained(front, 1) == ["before"]
    server.pause()
    try:
        assert list(await asyncio.wait_for(front.engine.broker.put([message("meanwhile")]), LONG)) == [True]
        assert await front.state("meanwhile") == "queued"
    finally:
        server.resume()
    assert await drained(front, 1) == ["meanwhile"]


@pytest.mark.parametrize("is_answer", [False, True], ids=["questions", "answers"])
async def test_a_line_cut_in_the_middle_of_frames_loses_and_doubles_nothing(
    server: rabbitmq.Server, is_answer: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing may wait until its sender counts as dead: what was in doubt is published again.
    monkeypatch.setattr(broker, "CONFIRM_WITHIN", 100 * LONG)
    monkeypatch.setattr(sender, "RECONNECTED_WITHIN", LONG)
    async with Proxy(server.port) as proxy:
        url = f"amqp://guest:guest@127.0.0.1:{proxy.port}?prefix=cut-{time.time_ns()}&timeout={LONG:g}"
        scene = Scene(url, time.time, "memory://")
        await scene.engine.broker.open()
        await scene.join(lease=1000.0)
        sending = asyncio.create_task(_send_until_cut(scene, proxy, 5, is_answer))
        seen: list[str] = []
        deadline = time.monotonic() + LONG
        while not sending.done() or len(seen) < sending.result():
            assert time.monotonic() < deadline, f"{len(seen)} came"
            taken = await scene.engine.broker.take([LANE], 50, "w1", 1.0)
            assert all([await scene.settle(delivery) for delivery in taken])
            seen += ids(taken)
        assert len(set(seen)) == len(seen), "each once"
        assert ids(await scene.engine.broker.take([LANE], 5, "w1", 0.5)) == []
        await scene.engine.broker.close()


async def _send_until_cut(scene: Scene, proxy: Proxy, times: int, is_answer: bool) -> int:
    """How many were accepted."""
    sent, cuts = 0, -1
    while proxy.cuts < times:
        if proxy.cuts > cuts:
            cuts = proxy.cuts
            proxy.cut_after(700 + 137 * cuts, is_answer)
        assert all(await scene.engine.broker.put([message(f"{sent + n}") for n in range(20)]))
        sent += 20
        await asyncio.sleep(0.02)
    return sent


async def test_confirms_that_nobody_hears_double_nothing(server: rabbitmq.Server) -> None:
    async with Proxy(server.port) as proxy:
        url = f"amqp://guest:guest@127.0.0.1:{proxy.port}?prefix=mute-{time.time_ns()}&timeout=1"
        scene = Scene(url, time.time, "memory://")
        await scene.engine.broker.open()
        await scene.join(lease=1000.0)
        await scene.put("first")
        proxy.is_mute = True
        assert list(await scene.engine.broker.put([message("unheard")])) == [True], "the backend has it"
        assert list(await scene.engine.broker.put([message("unheard")])) == [False]
        proxy.is_mute = False
        proxy.cut()
        assert sorted(await drained(scene, 2)) == ["first", "unheard"]
        assert ids(await scene.engine.broker.take([LANE], 5, "w1", 1.0)) == []
        await scene.engine.broker.close()


async def test_a_server_short_of_memory_is_told_to_senders_while_takes_go_on(
    server: rabbitmq.Server, front: Scene
) -> None:
    await front.put(*(f"before-{n}" for n in range(20)))
    await asyncio.to_thread(server.control, "set_vm_memory_high_watermark", "0")
    try:
        accepted = []
        with pytest.raises(EngineFull, match="short of memory or disk"):
            for n in range(5):
                await front.engine.broker.put([message(f"during-{n}")])
                accepted.append(f"during-{n}")
        assert await front.state(f"during-{len(accepted)}") is None, "nothing was written"
        before = {f"before-{n}" for n in range(20)}
        assert set(await drained(front, 20)) >= before - set(accepted)
    finally:
        await asyncio.to_thread(server.control, "set_vm_memory_high_watermark", "0.4")

    await eventually(lambda: is_accepted(front, "after"), within=LONG)


async def test_a_full_queue_that_rejects_takes_nothing(server: rabbitmq.Server, front: Scene) -> None:
    await front.put("makes-the-queue")
    assert await drained(front, 1) == ["makes-the-queue"]
    limit = '{"max-length": 5, "overflow": "reject-publish"}'
    pattern = f"^{rabbitmq.queue_name(front.url, LANE)}$"
    await asyncio.to_thread(server.control, "set_policy", "small", pattern, limit, "--apply-to", "queues")
    try:
        accepted, until = 0, time.monotonic() + LONG
        with pytest.raises(EngineFull, match="rejects"):
            while time.monotonic() < until:  # the server takes its time to apply a policy
                await front.put(f"more-{accepted}")
                accepted += 1
        assert await front.state(f"more-{accepted}") is None, "what was refused left nothing behind"
        later = message("later", due=time.time() + 3600)
        with pytest.raises(EngineFull, match="rejects"):
            await front.engine.broker.put(
                [message("body", flow=Flow(1)), later, message("m", flow=Flow(then=(Next("body"),)))]
            )
        assert [await front.state(id) for id in ("m", "body", "later")] == [None] * 3, "nor of what it would not carry"
        assert len(await drained(front, accepted)) == accepted
        await eventually(lambda: is_accepted(front, f"more-{accepted}"), within=LONG)
    finally:
        await asyncio.to_thread(server.control, "clear_policy", "small")


async def _held_past_the_servers_patience(scene: Scene) -> Delivery:
    await scene.put("long")
    [delivery] = await scene.engine.broker.take([LANE], 1, "w1", LONG)
    ending = time.monotonic() + 5.0  # the server's patience is 3 s, and it looks twice a second
    while time.monotonic() < ending:
        assert ids(await scene.engine.broker.take([LANE], 1, "w1", 0.5)) == [], "it runs here and nowhere else"
    return delivery


@pytest.mark.parametrize("front", ["consumer_timeout=3"], indirect=True)
async def test_a_task_longer_than_the_servers_patience_does_not_try_it(
    front: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    delivery = await _held_past_the_servers_patience(front)
    assert "lost the connection" not in caplog.text
    assert await front.settle(delivery)


async def test_a_server_with_less_patience_than_we_were_told_costs_a_connection_and_no_task(
    front: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    delivery = await _held_past_the_servers_patience(front)
    assert await front.settle(delivery)
    assert "consumer_timeout" in caplog.text, "the log says which setting to change"
    await front.put("next")
    assert await drained(front, 1) == ["next"]
