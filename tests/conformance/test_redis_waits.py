"""Connections to Redis that break at an awkward moment: the next call connects, and who listens goes on listening."""

import asyncio
from typing import Any

import pytest

from polypool.core.error import EngineUnreachable
from tests.conformance.scene import LANE, PATIENCE, Scene, heartbeat, ids
from tests.engines import redis


@pytest.fixture
def url() -> Any:
    made = redis.fresh_url()
    yield made
    redis.clean(made)


async def test_a_connection_lost_after_the_last_answer_of_its_start_is_made_again(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the engine took itself for connected from then on, and every call failed for ever."""
    scene = Scene(url, lambda: 1_000_000.0)
    link: Any = scene.engine.broker._link  # type: ignore[attr-defined]
    asks = link._ask

    async def lost_after_the_answer(*words: Any) -> Any:
        answer = await asks(*words)
        if words[0] == "EVALSHA":
            link._lost(None)
        return answer

    monkeypatch.setattr(link, "_ask", lost_after_the_answer)
    with pytest.raises(EngineUnreachable):
        await scene.engine.broker.open()
    monkeypatch.setattr(link, "_ask", asks)
    await scene.put("a")
    assert await scene.state("a") == "queued"
    await scene.engine.broker.close()


async def test_words_that_nobody_understands_do_not_end_the_listening(url: str) -> None:
    scene = Scene(url, lambda: 1_000_000.0)
    await scene.engine.broker.open()
    await scene.join()
    bell: Any = scene.engine.broker._bell  # type: ignore[attr-defined]
    taking = asyncio.create_task(scene.engine.broker.take([LANE], 5, "w1", 600))
    await asyncio.wait_for(bell._is_heard.wait(), PATIENCE)
    with redis.client(url) as stranger:
        assert stranger.publish(bell.channel, b"t\xc1\xff") == 1
    await scene.put("a")
    assert ids(await asyncio.wait_for(taking, PATIENCE)) == ["a"]
    waiting = asyncio.create_task(scene.engine.broker.beat(heartbeat(), 600))
    await asyncio.sleep(0)
    await scene.engine.broker.cancel(["a"])
    assert (await asyncio.wait_for(waiting, PATIENCE)).cancel == ("a",)
    await scene.engine.broker.close()
