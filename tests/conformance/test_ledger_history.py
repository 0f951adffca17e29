"""Any history of reservations, corrections, deaths and passing time: limits hold, and all engines count alike."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polypool.brokers.memory import MemoryEngine
from polypool.core.ledger import Adapt, Correction, Grant, Ledger, Pause, Rate, Release, Reservation, Slot
from tests.conformance.ledger_seen import History
from tests.conformance.scene import Clock, Scene

IDS = [f"r{n}" for n in range(12)]
TERM = 10.0
Step = tuple[str, object]

holder = st.sampled_from(["w1", "w1", "w1", "w2"])
smooth = st.just(Rate("smooth", 10.0, 10.0))
tokens = st.builds(
    lambda cost, is_estimate: Rate("tokens", 700.0, 7.0, cost, 300.0, is_estimate),
    st.sampled_from([0.0, 30.0, 99.9, 250.0]),
    st.booleans(),
)
daily = st.builds(lambda is_estimate: Rate("daily", 3.0, 86_400.0, 1.0, 3.0, is_estimate), st.booleans())
slots = st.sampled_from([Slot("slots", 2), Slot("more", 3)])
reservations = st.builds(
    Reservation, st.sampled_from(IDS), st.lists(smooth | tokens | daily | slots, min_size=1, max_size=3).map(tuple)
)
batches = st.tuples(st.just("reserve"), st.tuples(holder, st.lists(reservations, min_size=1, max_size=6)))
waits = st.tuples(st.just("pass"), st.sampled_from([0.1, 0.5, 1.0, 2.0, 3.0, 11.0]))
releases = st.builds(Release, st.sampled_from(IDS), st.booleans())
corrections = st.builds(Correction, st.sampled_from(IDS), st.just("tokens"), st.sampled_from([0.0, 100.0, 400.0]))
pauses = st.builds(Pause, st.sampled_from(["smooth", "slots"]), st.sampled_from([0.0, 2.0]))
adapts = st.sampled_from([Adapt("tokens", amount, 1.0, seconds) for amount in (10.0, 70.0) for seconds in (0.0, 2.5)])
ends = st.one_of(
    st.tuples(st.just("release"), st.tuples(holder, st.lists(releases, min_size=2, max_size=8))),
    st.tuples(st.just("correct"), st.tuples(holder, st.lists(corrections, min_size=2, max_size=8))),
    st.tuples(st.just("renew"), holder),
    st.tuples(st.just("adjust"), pauses | adapts),
)
histories = st.lists(batches | batches | waits | ends, min_size=10, max_size=40)


async def take_step(ledger: Ledger, verb: str, what: object) -> object:
    """One step of a history, on one engine; what it answers."""
    match verb, what:
        case "reserve", (str(name), list(batch)):
            return list(await ledger.reserve(name, TERM, batch))
        case "release", (str(name), list(batch)):
            return list(await ledger.release(name, batch))
        case "correct", (str(name), list(batch)):
            return list(await ledger.correct(name, batch))
        case "renew", str(name):
            return await ledger.renew(name, TERM)
        case "adjust", Pause() | Adapt() as adjustment:
            return await ledger.adjust([adjustment])
    return None


def alike(one: object, other: object) -> bool:
    """Whether two engines answered the same, waits to the microsecond."""
    if not isinstance(one, list) or not isinstance(other, list):
        return one == other
    pairs = list(zip(one, other, strict=True))
    grants = [(a, b) for a, b in pairs if isinstance(a, Grant) and isinstance(b, Grant)]
    if len(grants) < len(pairs):
        return one == other
    return all(a.key == b.key and a.wait == pytest.approx(b.wait, abs=1e-6) for a, b in grants)


async def live(scene: Scene, clock: Clock, history: Sequence[Step]) -> None:
    """A history on the engine and on a memory engine beside it; both forget it all at the end."""
    beside, seen = MemoryEngine(clock).ledger, History(clock, TERM)
    for verb, what in history:
        if verb == "pass":
            assert isinstance(what, float)
            clock.move(what)
            continue
        answer = await take_step(scene.engine.ledger, verb, what)
        expected = await take_step(beside, verb, what)
        assert alike(answer, expected), (verb, what, answer, expected)
        seen.add(verb, what, answer)
        gauges, theirs = list(await scene.engine.ledger.look()), list(await beside.look())
        assert [(gauge.key, gauge.held, gauge.limit) for gauge in gauges] == [(g.key, g.held, g.limit) for g in theirs]
        assert [gauge.used for gauge in gauges] == pytest.approx([gauge.used for gauge in theirs], abs=1e-6)
        assert {gauge.key: gauge.held for gauge in gauges if gauge.held} == seen.held()
    seen.check_windows()
    clock.move(200_000.0)
    await scene.engine.ledger.renew("nobody", 0.0)
    assert list(await scene.engine.ledger.look()) == []


async def test_no_window_holds_more_than_its_limit_and_all_engines_count_alike(scene: Scene, clock: Clock) -> None:
    loop = asyncio.get_running_loop()

    @settings(max_examples=50, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
    @given(histories)
    def look(history: list[Step]) -> None:
        asyncio.run_coroutine_threadsafe(live(scene, clock, history), loop).result()

    await asyncio.to_thread(look)  # hypothesis calls what is not async
