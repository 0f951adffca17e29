"""What the Redis engine promises of steps that wait for others beside the suite of all: calls, memory, restarts."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from polypool.core.error import EngineUnreachable
from polypool.core.join import OPEN, Flow, Input, Many, Next, One
from polypool.core.message import Message, Policy
from polypool.core.outcome import Done, Failed, Failure
from polypool.core.report import Search
from tests.conformance.scene import LANE, PATIENCE, Scene, eventually, ids, message
from tests.engines import redis
from tests.engines.proxy import Proxy

BOOM = Failed(Failure("builtins.ValueError", "boom"))


@pytest.fixture
async def real() -> AsyncIterator[Scene]:
    """An engine on the shared server and the server's own clock, with a worker."""
    made = Scene(redis.fresh_url(), time.time)
    await made.engine.broker.open()
    await made.join(lease=600.0)
    yield made
    await made.engine.broker.close()
    redis.clean(made.url)


def join(members: int, waits: int | None = None) -> list[Message]:
    """So many members and the step that waits for them."""
    body = message("body", flow=Flow(members if waits is None else waits))
    return [body, *(message(f"m-{place}", flow=Flow(then=(Next("body", place),))) for place in range(members))]


def kinds(scene: Scene) -> set[str]:
    """Which kinds of keys there are."""
    return {key.decode().removeprefix(redis.prefix(scene.url)).partition(":")[0] for key in redis.keys(scene.url)}


async def test_the_next_step_of_a_chain_is_brought_to_a_waiting_take_by_the_call_that_ends_the_one_before(
    real: Scene,
) -> None:
    await real.engine.broker.put(
        [message("b", flow=Flow(1)), message("a", flow=Flow(then=(Next("b"),)))],
    )
    first = await real.take_one()
    taking = asyncio.create_task(real.engine.broker.take([LANE], 5, "w1", 600))
    with redis.client(real.url) as admin:

        async def is_hungry() -> bool:
            return bool(admin.exists(f"{redis.prefix(real.url)}hungry:1"))

        await eventually(is_hungry)
        calls = admin.info("commandstats")["cmdstat_evalsha"]["calls"]
        assert await real.settle(first)
        assert ids(await asyncio.wait_for(taking, PATIENCE)) == ["b"]
        assert admin.info("commandstats")["cmdstat_evalsha"]["calls"] == calls + 1, "the settle alone"


@pytest.mark.parametrize("end", ["complete", "break", "drop", "cancel", "purge", "seal"])
async def test_nothing_is_left_of_a_join_that_waits_no_longer(real: Scene, end: str) -> None:
    before = kinds(real)
    when = "failure" if end == "drop" else "flow"
    last = message("last", flow=Flow(then=(Next("body", 9, when),)))
    await real.engine.broker.put([*join(9, OPEN if end == "seal" else 10), last])
    taken = {one.id: one for one in await real.take()}
    ending = taken.pop("last")
    assert all(await real.engine.broker.settle([real.settlement(one, Done(b"\xc0")) for one in taken.values()]))
    assert kinds(real) - before == {"task", "joins", "places", "held", "running", "lanes", "seq", "ended"}
    if end == "cancel":
        await real.engine.broker.cancel(["body"])
    elif end == "purge":
        assert await real.engine.inspector.act("purge", Search(ids=("body",))) == 1
    assert await real.settle(ending, BOOM if end == "break" else Done(b"\xc0"))
    if end == "seal":
        assert await real.engine.broker.seal("body", 10)
    assert not kinds(real) & {"joins", "places"}
    assert ids(await real.take()) == (["body"] if end in ("complete", "break", "seal") else [])


async def test_nothing_is_left_of_a_workflow_whose_endings_are_over(real: Scene) -> None:
    before = set(redis.keys(real.url))
    policy = Policy(result_ttl=0.2)
    steps = [message(one.id, flow=one.flow, policy=policy) for one in join(20)]
    plan = message("plan", flow=Flow(1, plan=b"shape"), policy=policy)
    await real.engine.broker.put([*steps, plan, message("a", flow=Flow(then=(Next("plan"),)), policy=policy)])
    while taken := await real.take():
        assert all(await real.engine.broker.settle([real.settlement(one, Done(b"\xc0")) for one in taken]))

    async def is_over() -> bool:
        return "task" not in kinds(real)

    await eventually(is_over)
    await real.join(lease=600.0)
    left = {key.decode().removeprefix(redis.prefix(real.url)) for key in set(redis.keys(real.url)) - before}
    assert left <= {"seq", "lanes", "running"}


async def test_a_join_that_is_half_marked_goes_on_after_a_restart_of_the_server() -> None:
    server = redis.Server("--appendonly", "yes", "--appendfsync", "always")
    try:
        scene = Scene(server.url, time.time)
        await scene.engine.broker.open()
        await scene.join(lease=600.0)
        broken = [message("b", flow=Flow(1)), message("c", flow=Flow(then=(Next("b"),)))]
        await scene.engine.broker.put([*join(40), *broken])
        taken = await scene.take()
        half, rest = taken[:25], taken[25:]
        assert all(await scene.engine.broker.settle([scene.settlement(one, Done(b"\xc0")) for one in half]))
        server.stop(force=True)
        with pytest.raises(EngineUnreachable):
            await scene.settle(rest[0])
        server.start()

        async def is_settled() -> bool:
            try:
                return all(
                    await scene.engine.broker.settle(
                        [scene.settlement(one, BOOM if one.id == "c" else Done(b"\xc0")) for one in rest]
                    )
                )
            except EngineUnreachable:
                return False

        await eventually(is_settled)
        server.stop(force=True)
        server.start()
        again = Scene(server.url, time.time)
        await again.engine.broker.open()
        await again.join("w2", lease=600.0)
        taken = await again.take(worker="w2")
        assert {one.id: one.cause is not None for one in taken} == {"body": False, "b": True}
        await again.engine.broker.close()
        await scene.engine.broker.close()
    finally:
        server.remove()


async def test_a_settlement_that_comes_twice_because_its_answer_was_lost_marks_its_place_once() -> None:
    server = redis.Server()
    try:
        async with Proxy(server.port) as proxy:
            scene = Scene(f"redis://127.0.0.1:{proxy.port}", time.time)
            await scene.engine.broker.open()
            await scene.join(lease=600.0)
            await scene.engine.broker.put(join(2))
            first, second = await scene.take()
            proxy.is_mute = True
            settling = asyncio.create_task(scene.settle(first))
            with redis.client(server.url) as admin:

                async def is_written() -> bool:
                    return bool(admin.hlen("{polypool}:held:1") == 1)

                await eventually(is_written)
            proxy.is_mute = False
            proxy.cut()
            with pytest.raises(EngineUnreachable):
                await settling
            assert await scene.settle(first), "it was written"
            assert await scene.state("body") == "scheduled"
            assert await scene.settle(second)
            assert ids(await scene.take()) == ["body"]
            await scene.engine.broker.close()
    finally:
        server.remove()


async def test_of_many_that_are_sent_together_none_can_end_before_whom_it_tells_is_there(
    real: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They go in several writes, and a worker takes what the first of these brought before the others come."""
    other = await real.another()
    link: Any = real.engine.broker._link  # type: ignore[attr-defined]
    run = link.run

    async def run_and_work(verb: str, words: Any) -> Any:
        answer = await run(verb, words)
        if verb == "put":
            while taken := await other.broker.take([LANE], 5000, "w1", 0):
                await other.broker.settle([real.settlement(one, Done(b"\xc0")) for one in taken])
        return answer

    monkeypatch.setattr(link, "run", run_and_work)
    body, *members = join(3000)
    answers = await real.engine.broker.put([*members[:2999], members[0], body, members[2999]])
    assert answers == [True] * 2999 + [False, True, True]
    assert await real.state("body") == "succeeded"
    await other.broker.close()


async def test_many_are_cancelled_at_once_and_each_is_told_of(real: Scene) -> None:
    await real.engine.broker.put(join(1200))
    names = [f"m-{place}" for place in range(1200)]
    assert await real.engine.broker.cancel([*names, "m-0", "nobody"]) == [True] * 1201 + [False]
    [body] = await real.take()
    assert body.id == "body" and body.cause is not None


async def test_why_a_step_is_only_to_be_ended_is_not_taken_for_its_task(real: Scene) -> None:
    """However long it is: a traceback in it may be longer than what is read of a message to find its task's name."""
    await real.engine.broker.put([message("b", flow=Flow(1)), message("a", flow=Flow(then=(Next("b"),)))])
    traceback = "in a very long line\n" * 2000
    assert await real.settle(await real.take_one(), Failed(Failure("builtins.ValueError", "boom", traceback)))
    [record] = await real.engine.results.read(["b"])
    assert record is not None and (record.state, record.task) == ("queued", "app.work")
    [view] = await real.engine.inspector.find(Search(task="app.work", state=record.state))
    assert (view.id, view.flow) == ("b", Flow(1))
    [delivery] = await real.take()
    assert delivery.cause is not None and traceback.encode() in delivery.cause


async def test_a_join_of_a_hundred_thousand_needs_a_bit_for_each_member_beside_their_records(real: Scene) -> None:
    places = 100_000
    await real.engine.broker.put([message("body", flow=Flow(places))])
    await real.engine.broker.put([message("m", flow=Flow(then=(Next("body", places - 1),)))])
    assert await real.settle(await real.take_one())
    with redis.client(real.url) as admin:
        assert admin.memory_usage(f"{redis.prefix(real.url)}places:body") < places / 8 * 1.5 + 200


def chain_of_chords(chords: int, members: int) -> list[Message]:
    """As the canvas would send it: each chord's members tell their body, each body the members of the next chord."""
    steps = []
    for chord in range(chords):
        base = f"0190f3c2a7e54b1c8d2f6a9b3c4d5e6f.{chord}"
        following = (Next(f"0190f3c2a7e54b1c8d2f6a9b3c4d5e6f.{chord + 1}.0", count=members),)
        then = following if chord + 1 < chords else ()
        plan = bytes(2000) if chord + 1 == chords else None
        steps.append(
            message(base, flow=Flow(members, then, (Input(Many(f"{base}.0", members)),), plan=plan), root=base[:32])
        )
        before = (Input(One(f"0190f3c2a7e54b1c8d2f6a9b3c4d5e6f.{chord - 1}")),) if chord else ()
        for place in range(members):
            flow = Flow(1 if chord else 0, (Next(base, place),), before)
            steps.append(message(f"{base}.0-{place}", flow=flow, root=base[:32]))
    return steps


async def test_a_chain_of_six_chords_of_ten_takes_less_than_200_kilobytes_whenever_one_looks(real: Scene) -> None:
    def used() -> int:
        with redis.client(real.url) as admin:
            return sum(admin.memory_usage(key, samples=0) for key in redis.keys(real.url))

    empty, most, ended = used(), 0, 0
    await real.engine.broker.put(chain_of_chords(6, 10))
    while taken := await real.take():
        most = max(most, used())
        ended += len(taken)
        value = b"\xc4\x20" + bytes(32)
        assert all(await real.engine.broker.settle([real.settlement(one, Done(value)) for one in taken]))
        most = max(most, used())
    assert ended == 66
    assert most - empty < 200_000
