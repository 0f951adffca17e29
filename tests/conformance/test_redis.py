"""What the Redis engine promises beside the ports: restarts, cuts, lost answers, memory, idleness, clusters."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis

from polypool.brokers.open import open_engine
from polypool.core.error import EngineFull, EngineUnreachable
from polypool.core.lifecycle import State
from polypool.core.measure import Tally
from polypool.core.message import Delivery, Policy
from polypool.core.outcome import Done
from polypool.core.report import Heartbeat, Search
from tests.conformance.scene import LANE, PATIENCE, Scene, event, heartbeat, ids, message
from tests.engines import redis
from tests.engines.proxy import Proxy

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def real() -> AsyncIterator[Scene]:
    """An engine on the shared server and the server's own clock."""
    made = Scene(redis.fresh_url(), time.time)
    await made.engine.broker.open()
    yield made
    await made.engine.broker.close()
    redis.clean(made.url)


@pytest.fixture
def server() -> Iterator[redis.Server]:
    """A server of the test's own, which writes each change to disk before it answers."""
    made = redis.Server("--appendonly", "yes", "--appendfsync", "always")
    yield made
    made.remove()


async def soon(condition: Callable[[], object], within: float = PATIENCE) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "did not come true in time"
        await asyncio.sleep(0.005)


async def reached(scene: Scene, limit: int = 100, worker: str = "w1") -> list[Delivery]:
    """A take by somebody who tries until the engine answers."""
    while True:
        try:
            return await scene.take(limit, worker)
        except EngineUnreachable:
            await asyncio.sleep(0.01)


async def test_a_restart_of_the_server_in_the_middle_loses_nothing(server: redis.Server) -> None:
    scene = Scene(server.url, time.time)
    await scene.engine.broker.open()
    await scene.join(lease=60.0)
    await scene.put(*(str(n) for n in range(60)))
    first = await scene.take(25)
    waiting = asyncio.create_task(scene.engine.results.wait(["59"], 600))
    server.stop(force=True)
    with pytest.raises(EngineUnreachable):
        await scene.take(1)
    server.start()
    second = await reached(scene)
    assert sorted(ids(first + second), key=int) == [str(n) for n in range(60)]
    assert all(await scene.engine.broker.settle([scene.settlement(d, Done(b"\x01")) for d in first + second]))
    [record] = await waiting
    assert (record.id, record.state) == ("59", "succeeded")
    await scene.engine.broker.close()


async def test_a_waiting_take_hears_of_work_again_after_its_connections_were_killed(real: Scene) -> None:
    await real.join(lease=60.0)
    other = await real.another()
    taking = asyncio.create_task(real.engine.broker.take([LANE], 5, "w1", 600))
    with redis.client(real.url) as admin:
        await soon(lambda: admin.exists(f"{redis.prefix(real.url)}hungry:1"))
        mine = real.engine.broker._bell.channel  # type: ignore[attr-defined]
        assert admin.pubsub_numsub(mine)[0][1] == 1
        admin.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        await soon(lambda: admin.pubsub_numsub(mine)[0][1] == 1)
    await other.broker.put([message("a")])
    assert ids(await asyncio.wait_for(taking, PATIENCE)) == ["a"]
    await other.broker.close()


@pytest.mark.parametrize("how", [ConnectionResetError(104, "reset by peer"), BrokenPipeError(32, "broken pipe")])
async def test_a_connection_that_the_system_ends_is_an_engine_that_cannot_be_reached(real: Scene, how: OSError) -> None:
    await real.join(lease=60.0)
    taking = asyncio.create_task(real.take())
    link = real.engine.broker._link  # type: ignore[attr-defined]
    while not link._waiting:
        await asyncio.sleep(0)
    link._wire.connection_lost(how)
    with pytest.raises(EngineUnreachable, match="cannot be reached"):
        await taking
    assert await reached(real) == []


async def test_what_a_take_brought_whose_answer_was_lost_is_given_back_uncounted(server: redis.Server) -> None:
    async with Proxy(server.port) as proxy:
        scene = Scene(f"redis://127.0.0.1:{proxy.port}", time.time)
        await scene.engine.broker.open()
        await scene.put("a", "b")
        await scene.join(lease=60.0)
        proxy.is_mute = True
        taking = asyncio.create_task(scene.take())
        with redis.client(server.url) as admin:
            await soon(lambda: admin.hlen("{polypool}:held:1") == 2)
        proxy.is_mute = False
        proxy.cut()
        with pytest.raises(EngineUnreachable):
            await taking
        again = await reached(scene)
        assert [(d.id, d.deliveries) for d in again] == [("a", 1), ("b", 1)]
        await scene.engine.broker.close()


async def test_what_was_brought_to_a_waiting_take_and_got_lost_is_given_back_uncounted(server: redis.Server) -> None:
    async with Proxy(server.port) as proxy:
        scene = Scene(f"redis://127.0.0.1:{proxy.port}", time.time)
        sender = open_engine(server.url)
        await scene.engine.broker.open()
        await sender.broker.open()
        await scene.join(lease=60.0)
        taking = asyncio.create_task(scene.engine.broker.take([LANE], 5, "w1", 600))
        with redis.client(server.url) as admin:
            await soon(lambda: admin.exists("{polypool}:hungry:1"))
            proxy.is_mute = True
            await sender.broker.put([message("a")])
            assert admin.hlen("{polypool}:held:1") == 1, "leased by the sender's own call"
        proxy.is_mute = False
        proxy.cut()
        try:
            taken = await asyncio.wait_for(taking, 20)
        except EngineUnreachable:
            taken = await reached(scene)
        assert [(d.id, d.deliveries) for d in taken] == [("a", 1)]
        assert await scene.settle(taken[0])
        await sender.broker.close()
        await scene.engine.broker.close()


async def test_a_settlement_whose_answer_was_lost_is_accepted_when_it_comes_again(server: redis.Server) -> None:
    async with Proxy(server.port) as proxy:
        scene = Scene(f"redis://127.0.0.1:{proxy.port}", time.time)
        await scene.engine.broker.open()
        await scene.put("a")
        await scene.join(lease=60.0)
        held = await scene.take_one()
        proxy.is_mute = True
        settling = asyncio.create_task(scene.settle(held))
        with redis.client(server.url) as admin:
            await soon(lambda: admin.hlen("{polypool}:held:1") == 0)
        proxy.is_mute = False
        proxy.cut()
        with pytest.raises(EngineUnreachable):
            await settling
        assert await scene.settle(held), "it was written"
        assert not await scene.settle(held), "and is no news after that"
        await scene.engine.broker.close()


async def test_two_workers_that_drain_one_lane_at_once_never_hold_the_same(real: Scene) -> None:
    sent = [str(n) for n in range(2000)]
    await real.put(*sent)
    other = await real.another()

    async def drain(broker: object, name: str) -> list[str]:
        taken: list[str] = []
        await broker.beat(heartbeat(name))  # type: ignore[attr-defined]
        while batch := await broker.take([LANE], 37, name, 0):  # type: ignore[attr-defined]
            taken += ids(batch)
            assert all(await broker.settle([real.settlement(d, Done(b"\x01")) for d in batch]))  # type: ignore[attr-defined]
        return taken

    one, two = await asyncio.gather(drain(real.engine.broker, "w1"), drain(other.broker, "w2"))
    assert one and two
    assert sorted(one + two) == sorted(sent)
    await other.broker.close()


async def test_a_heartbeat_whose_answer_was_lost_is_added_up_once(real: Scene) -> None:
    def beat(report: int, is_leaving: bool = False) -> Heartbeat:
        tally = Tally("app.work", "threads", succeeded=1)
        return heartbeat(lease=60.0, report=report, tallies=(tally,), is_leaving=is_leaving)

    for report in (1, 1, 2, 2):
        await real.engine.broker.beat(beat(report))
    await real.engine.broker.beat(beat(3, is_leaving=True))
    await real.engine.broker.beat(beat(3, is_leaving=True))
    [tally] = await real.engine.inspector.tallies()
    assert tally.succeeded == 3
    await real.engine.broker.beat(heartbeat(started_at=2.0, report=1, tallies=(Tally("app.work", "threads", 1),)))
    [tally] = await real.engine.inspector.tallies()
    assert tally.succeeded == 4, "another run of the worker counts from the beginning"


HOLDER = """
import asyncio, sys, time
from tests.conformance.scene import Scene
async def hold(url):
    scene = Scene(url, time.time)
    await scene.engine.broker.open()
    await scene.join("killed", lease=3.0)
    print(*[delivery.id for delivery in await scene.take(worker="killed")], flush=True)
    await asyncio.sleep(60)
asyncio.run(hold(sys.argv[1]))
"""


async def test_what_a_killed_process_held_comes_back_when_its_lease_ends(real: Scene) -> None:
    await real.put("a", "b")
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, real.url], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    try:
        assert (await asyncio.to_thread(holder.stdout.readline)).split() == ["a", "b"]
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait(10)
        holder.stdout.close()
    await real.join("alive", lease=60.0)
    taken = await asyncio.wait_for(real.engine.broker.take([LANE], 5, "alive", 600), PATIENCE)
    assert [(d.id, d.token, d.deliveries) for d in taken] == [("a", 2, 2), ("b", 2, 2)]


WAITER = """
import asyncio, sys, time
from tests.conformance.scene import LANE, Scene
async def wait(url):
    scene = Scene(url, time.time)
    await scene.engine.broker.open()
    await scene.join("killed", lease=60)
    await scene.engine.broker.take([LANE], 5, "killed", 600)
asyncio.run(wait(sys.argv[1]))
"""


async def test_nothing_is_brought_to_a_take_whose_process_was_killed(real: Scene) -> None:
    await real.join("alive", lease=60.0)
    waiter = subprocess.Popen([sys.executable, "-c", WAITER, real.url], cwd=ROOT)
    with redis.client(real.url) as admin:
        try:
            await soon(lambda: admin.exists(f"{redis.prefix(real.url)}hungry:1"), 20)
        finally:
            waiter.send_signal(signal.SIGKILL)
            waiter.wait(10)
        await soon(lambda: not admin.pubsub_channels(f"{redis.prefix(real.url)}*"))
    await real.put("a")
    assert [(d.id, d.deliveries) for d in await real.take(worker="alive")] == [("a", 1)]


async def test_what_comes_is_brought_to_a_waiting_take_and_its_end_to_a_waiting_client_unasked(real: Scene) -> None:
    await real.join(lease=60.0)
    taking = asyncio.create_task(real.engine.broker.take([LANE], 5, "w1", 600))
    with redis.client(real.url) as admin:
        await soon(lambda: admin.exists(f"{redis.prefix(real.url)}hungry:1"))
        await real.join(lease=60.0)  # a heartbeat meanwhile changes nothing
        calls = _verbs(admin)
        await real.put("a")
        [delivery] = await asyncio.wait_for(taking, PATIENCE)
        assert _verbs(admin) - calls == 1, "the put alone"
        waiting = asyncio.create_task(real.engine.results.wait(["a"], 600))
        await soon(lambda: admin.hexists(f"{redis.prefix(real.url)}watch", "a"))
        calls = _verbs(admin)
        await real.settle(delivery, Done(b"\x2a"))
        [record] = await asyncio.wait_for(waiting, PATIENCE)
        assert (record.state, record.value) == ("succeeded", b"\x2a")
        assert _verbs(admin) - calls == 1, "the settle alone"


async def test_a_task_too_large_to_be_brought_and_a_result_too_large_are_asked_for(real: Scene) -> None:
    await real.join(lease=60.0)
    taking = asyncio.create_task(real.engine.broker.take([LANE], 5, "w1", 600))
    with redis.client(real.url) as admin:
        await soon(lambda: admin.exists(f"{redis.prefix(real.url)}hungry:1"))
        await real.put("a", args=b"\xc6\x00\x01\x00\x00" + bytes(65_536))
        [delivery] = await asyncio.wait_for(taking, PATIENCE)
        waiting = asyncio.create_task(real.engine.results.wait(["a"], 600))
        await soon(lambda: admin.hexists(f"{redis.prefix(real.url)}watch", "a"))
    large = b"\xc6\x00\x01\x00\x00" + bytes(65_536)
    await real.settle(delivery, Done(large))
    [record] = await asyncio.wait_for(waiting, PATIENCE)
    assert record.value == large


async def test_many_at_once_reach_all_that_wait(real: Scene) -> None:
    other = await real.another()
    await real.join("w1", lease=60.0)
    await real.join("w2", lease=60.0)
    one = asyncio.create_task(real.engine.broker.take([LANE], 10, "w1", 600))
    two = asyncio.create_task(other.broker.take([LANE], 10, "w2", 600))
    with redis.client(real.url) as admin:
        await soon(lambda: admin.scard(f"{redis.prefix(real.url)}hungry:1") == 2)
    await real.put(*(str(n) for n in range(20)))
    taken = await asyncio.wait_for(asyncio.gather(one, two), PATIENCE)
    assert sorted(len(some) for some in taken) == [10, 10]
    await other.broker.close()


async def test_nothing_is_left_of_tasks_whose_endings_are_over(real: Scene) -> None:
    await real.join(lease=60.0)
    empty = set(redis.keys(real.url))
    for start in range(0, 1000, 100):
        names = [str(start + n) for n in range(100)]
        await real.put(*names, policy=Policy(result_ttl=0.3))
        await real.put(f"unkept-{start}", policy=Policy(result_ttl=0.0))
        await real.engine.bus.append([(id, event(1, 1)) for id in [*names[:10], f"unkept-{start}"]])
        waiting = asyncio.create_task(real.engine.results.wait([*names, f"unkept-{start}"], 5))
        batch = await real.take(1000)
        assert all(await real.engine.broker.settle([real.settlement(d, Done(b"\x01")) for d in batch]))
        await waiting
    with redis.client(real.url) as admin:
        await soon(lambda: not list(admin.scan_iter(f"{redis.prefix(real.url)}task:*", count=1000)))
    await real.join(lease=60.0)
    left = {key.decode().removeprefix(redis.prefix(real.url)) for key in set(redis.keys(real.url)) - empty}
    assert left <= {"seq", "lanes", "running"}, "counters, one each whatever the number of tasks"


async def test_an_idle_worker_and_an_idle_client_ask_the_server_nothing(real: Scene) -> None:
    await real.join(lease=60.0)
    await real.put("a", queue="elsewhere")
    taking = asyncio.create_task(real.engine.broker.take([LANE], 5, "w1", 600))
    beating = asyncio.create_task(real.engine.broker.beat(heartbeat(lease=60.0, app="beaten"), 600))
    waiting = asyncio.create_task(real.engine.results.wait(["a"], 600))
    with redis.client(real.url) as admin:
        await soon(lambda: admin.hexists(f"{redis.prefix(real.url)}watch", "a"))
        await soon(lambda: admin.exists(f"{redis.prefix(real.url)}hungry:2"))
        await soon(lambda: b"beaten" in (admin.hget(f"{redis.prefix(real.url)}worker:1", "beat") or b""))
        # What begins may look twice; then come spans of half a second in which nobody asks anything.
        before, spans = -1, 0
        while _verbs(admin) != before:
            before, spans = _verbs(admin), spans + 1
            assert spans < 20, "somebody polls"
            done, _ = await asyncio.wait([taking, beating, waiting], timeout=0.5)
            assert not done
    for task in (taking, beating, waiting):
        task.cancel()
    await asyncio.gather(taking, beating, waiting, return_exceptions=True)


async def test_a_process_keeps_to_two_connections_whatever_it_waits_for(server: redis.Server) -> None:
    scene = Scene(server.url, time.time)
    await scene.engine.broker.open()
    await scene.join(lease=60.0)
    await scene.put(*(str(n) for n in range(100)), due=time.time() + 600)
    waits = [asyncio.create_task(scene.engine.results.wait([str(n)], 600)) for n in range(100)]
    waits += [asyncio.create_task(scene.engine.bus.follow(str(n), None, 600)) for n in range(100)]  # type: ignore[arg-type]
    with redis.client(server.url) as admin:
        await soon(lambda: admin.hlen("{polypool}:watch") == 100)
        assert len(admin.client_list()) - 1 == 2
    for task in waits:
        task.cancel()
    await asyncio.gather(*waits, return_exceptions=True)
    await scene.engine.broker.close()


async def test_scripts_that_somebody_flushed_are_loaded_again(real: Scene) -> None:
    with redis.client(real.url) as admin:
        admin.script_flush()
    await real.put("a")
    assert await real.state("a") == "queued"


async def test_a_server_whose_memory_is_used_up_refuses_tasks_and_lets_workers_end_theirs(server: redis.Server) -> None:
    scene = Scene(server.url, time.time)
    await scene.engine.broker.open()
    await scene.join(lease=60.0)
    await scene.put("a", "b")
    with redis.client(server.url) as admin:
        admin.config_set("maxmemory", "1mb")
        with pytest.raises(EngineFull, match="maxmemory"):
            await scene.put("c")
        assert not admin.exists("{polypool}:task:c")
        for delivery in await scene.take():
            assert await scene.settle(delivery)
        admin.config_set("maxmemory", "0")
    await scene.put("c")
    await scene.engine.broker.close()


async def test_a_cluster_is_served_from_whichever_node_the_url_names() -> None:
    nodes = [redis.Server("--cluster-enabled", "yes") for _ in range(2)]
    try:
        with redis.client(nodes[0].url) as one, redis.client(nodes[1].url) as two:
            one.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            two.execute_command("CLUSTER", "MEET", "127.0.0.1", nodes[0].port)
            await soon(lambda: _is_up(one, two))
        for node in nodes:
            scene = Scene(f"{node.url}?prefix=on{node.port}", time.time)
            await scene.engine.broker.open()
            await scene.join(lease=60.0)
            taking = asyncio.create_task(scene.engine.broker.take([LANE], 5, "w1", 600))
            await scene.put("a")
            [delivery] = await taking
            assert await scene.settle(delivery)
            assert await scene.state("a") == "succeeded"
            await scene.engine.broker.close()
    finally:
        for node in nodes:
            node.remove()


def _verbs(admin: Redis) -> int:
    """How many scripts were run."""
    return int(admin.info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0))


def _is_up(*nodes: object) -> bool:
    return all("cluster_state:ok" in _text(node.execute_command("CLUSTER", "INFO")) for node in nodes)  # type: ignore[attr-defined]


def _text(answer: object) -> str:
    return answer.decode() if isinstance(answer, bytes) else "\n".join(f"{k}:{v}" for k, v in dict(answer).items())  # type: ignore[call-overload]


async def test_a_look_through_many_messages_lets_workers_take_in_between(real: Scene) -> None:
    count, page = 20_000, 500
    await real.join(lease=60.0)
    names = [f"t{n}" for n in range(count)]
    await real.engine.broker.put(
        [message(id, task="app.rare" if n % 1000 == 7 else "app.work") for n, id in enumerate(names)]
    )
    taken = list[str]()

    async def beside(look: Awaitable[object]) -> object:
        looking, before = asyncio.ensure_future(look), len(taken)
        while not looking.done():
            taken.extend(ids(await real.take(1)))
        assert len(taken) - before > count / page / 2, "each page is a call of its own"
        return looking.result()

    found = await beside(real.engine.inspector.find(Search(limit=10)))
    assert ids(found) == names[:-11:-1]
    found = await beside(real.engine.inspector.find(Search(task="app.rare", state=State.QUEUED, limit=1000)))
    assert [id for id in ids(found) if id not in taken] == [id for id in names[-993::-1000] if id not in taken]
    purged = await beside(real.engine.inspector.act("purge", Search()))
    assert purged == count - len(taken), "none was passed over, though the line moved meanwhile"
