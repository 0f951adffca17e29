"""Field: one run of chaos on one engine, from the first send until everything ended and the engine is empty."""

import asyncio
import itertools
import os
import random
import re
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from datetime import datetime
from pathlib import Path

import msgspec

from bench.chaos.acts import Acts
from bench.chaos.fleet import THIS, Fleet, Post, source_of
from bench.chaos.ground import Ground, through
from bench.chaos.history import Sent, read
from bench.chaos.judge import Case, Fence, Verdict, judge
from bench.reading import CannotMeasure
from polypool.brokers.open import open_engine
from polypool.core.error import EngineError
from polypool.core.event import Record
from polypool.core.port import Engine
from polypool.core.report import Heartbeat, Search
from tests.engines.proxy import Proxy

PRODUCERS, WORKERS = 4, 3
SENT_BY = 0.92
"""The share of a run's time over which tasks are sent."""
FUTURE_S = 10 * 86_400.0
"""By then every result's time to live is over and every dead worker is forgotten."""
STARTS_WITHIN_S, ENDS_WITHIN_S, EMPTY_WITHIN_S = 60.0, 240.0, 60.0
SHORT_S = 60.0
READ_AT_ONCE = 500

FENCED = re.compile(r"^(\S+ \S+) WARNING +silent for longer than its lease", re.MULTILINE)
REFUSES = re.compile(r"polypool: (.*(?:release|layout|version|newer).*)")
"""Before it took anything, in words for people."""
REFUSED = re.compile(r"this run's ending was not written")
BROKEN = re.compile(r"a loop of this worker broke.*|Exception in callback.*")


class Plan(msgspec.Struct, frozen=True):
    """How large a run is. Times in seconds; `every` is the middle of the time from one act to the next."""

    tasks: int = 20_000
    seconds: float = 600.0
    every: float = 1.5
    lease: float = 2.0
    seed: int = 0
    previous: str | None = None
    """A path or commit of the older release; None: none runs."""


class Outcome(msgspec.Struct, frozen=True):
    """What came out, for the table."""

    engine: str
    plan: Plan
    previous: str
    took: float
    verdict: Verdict
    refused: int
    fences: int
    fences_unasked: int
    """Leases that ended though nobody had stopped their worker: outages of SQLite, or a machine too busy to beat."""
    history: str


class Field:
    """Everything of one run, put together and taken down again."""

    def __init__(self, ground: Ground, plan: Plan, folder: Path, say: Callable[[str], None]) -> None:
        self._ground, self._plan, self._say = ground, plan, say
        self._dice = random.Random(plan.seed)
        self._folder = folder
        self._fleet = Fleet(folder, plan.lease, [], ground.backend)
        self._fleet.history.mkdir()
        self._due: list[asyncio.Task[None]] = []
        self._failures: list[str] = []
        self._began = 0.0
        self._previous = plan.previous or "not mixed in"

    async def run(self) -> Outcome:
        at = time.time()
        async with AsyncExitStack() as around:
            around.callback(self._fleet.stop)
            look = open_engine(self._ground.url, backend=self._ground.backend)
            await look.broker.open()
            around.push_async_callback(look.broker.close)
            proxies = await self._proxies(around)
            sources = self._sources()
            sources = await self._take_posts(proxies, sources)
            acts = Acts(self._ground, self._fleet, proxies, self._dice, look)
            acts.sources, acts.is_short = sources, self._plan.seconds < SHORT_S
            mending = asyncio.ensure_future(acts.mend())
            await self._disturb(acts, proxies, sources)
            records = await self._ended(look)
            mending.cancel()
            await self._send_home()
            left = await self._left(look)
        fences, refused = self._heard()
        case = Case(read(self._fleet.history), fences, self._plan.lease, self._ground.excuses_outages)
        verdict = judge(case, records, left)
        verdict.violations += self._failures
        counts = refused, len(fences), case.lost_by_themselves()
        took = time.time() - at
        name, plan, folder = self._ground.name, self._plan, str(self._folder)
        return Outcome(name, plan, self._previous, took, verdict, *counts, folder)

    async def _proxies(self, around: AsyncExitStack) -> list[Proxy]:
        if self._ground.port is None:
            return []
        return [await around.enter_async_context(Proxy(self._ground.port)) for _ in range(2)]

    def _sources(self) -> list[Path]:
        """Where this release is, then the previous one if it takes part."""
        if self._plan.previous is None:
            return [THIS]
        return [THIS, source_of(self._plan.previous, self._folder / "previous")]

    def _url(self, proxies: list[Proxy], number: int) -> str:
        """Two of three go through a proxy of their own, where there are proxies."""
        if not proxies or number % 3 == 2:
            return self._ground.url
        return through(self._ground.url, proxies[number % 3].port)

    async def _take_posts(self, proxies: list[Proxy], sources: list[Path]) -> list[Path]:
        """Start the workers. The releases that go on: an older one may refuse what a newer one has made."""
        for number in range(WORKERS):
            source = sources[-1] if number == 0 else sources[0]
            post = Post(number, self._url(proxies, number), source)
            self._fleet.posts.append(post)
            self._fleet.start(post)
        deadline = time.time() + STARTS_WITHIN_S
        for post in self._fleet.posts:
            while (worker := post.worker) is not None and not worker.said("is ready"):
                if post.source is not THIS and not worker.is_running and (why := worker.said(REFUSES)):
                    self._previous, sources, post.source = f"refuses to start: {why[1]}", [THIS], THIS
                    self._fleet.start(post)
                elif not worker.is_running or time.time() > deadline:
                    raise CannotMeasure(f"worker {post.life} did not start:\n{worker.last_words()}")
                await asyncio.sleep(0.02)
        return sources

    async def _disturb(self, acts: Acts, proxies: list[Proxy], sources: list[Path]) -> None:
        """Send, and act in between; first each act once, then whatever the dice say."""
        self._began = time.time()
        self._start_producers(acts, proxies, sources)
        known = acts.known()
        first = self._dice.sample(sorted(known), len(known))
        end = self._began + self._plan.seconds
        for number in itertools.count():
            await asyncio.sleep(self._plan.every * self._dice.uniform(0.3, 1.7))
            if time.time() >= end:
                break
            name = first[number] if number < len(first) else self._dice.choice(sorted(known))
            self._due.append(asyncio.ensure_future(known[name]()))
            if number % 20 == 19:
                self._say(f"{self._ground.name}: {number + 1} acts, {time.time() - self._began:.0f} s")
        acts.kill_producer = None
        for done in await asyncio.gather(*self._due, return_exceptions=True):
            if isinstance(done, BaseException):
                self._failures.append(f"an act failed: {done!r}")

    def _start_producers(self, acts: Acts, proxies: list[Proxy], sources: list[Path]) -> None:
        plan = self._plan
        words = [str(PRODUCERS), str(plan.seed), str(plan.tasks), repr(self._began), repr(plan.seconds * SENT_BY)]
        words.append(str(int(acts.has_priorities)))

        def start(number: int) -> None:
            source = sources[-1] if number == 0 else sources[0]
            running[number] = self._fleet.produce(number, self._url(proxies, number), source, words)

        async def kill_one() -> tuple[int, ...]:
            alive = [number for number, producer in running.items() if producer.poll() is None]
            if not alive:
                return ()
            number = self._dice.choice(alive)
            victim = running[number]
            victim.kill()
            victim.wait()
            await asyncio.sleep(self._dice.uniform(0, 0.5))
            start(number)
            return (victim.pid,)

        running = {}  # type: ignore[var-annotated]
        for number in range(PRODUCERS):
            start(number)
        acts.kill_producer = kill_one
        self._running = running

    async def _ended(self, look: Engine) -> dict[str, Record]:
        """What became of every message, once all producers are done and all has ended, or nothing moves any more."""
        self._say(f"{self._ground.name}: waiting until all that was accepted has ended")
        deadline = time.time() + ENDS_WITHIN_S
        while any(producer.poll() is None for producer in self._running.values()):
            if time.time() > deadline:
                self._failures.append("a producer never came to its end")
                break
            await asyncio.sleep(0.05)
        for number, producer in self._running.items():
            if producer.returncode:
                log = (self._folder / f"producer-{number}.log").read_text(errors="replace")
                self._failures.append(f"producer {number} broke: {log[-500:]}")
        sent = {line.id for line in read(self._fleet.history, "sent-*") if isinstance(line, Sent)}
        records: dict[str, Record] = {}
        while time.time() < deadline:
            pending = sorted(sent - records.keys())
            unknown = set[str]()
            for start in range(0, len(pending), READ_AT_ONCE):
                some = pending[start : start + READ_AT_ONCE]
                with suppress(EngineError):
                    for id, record in zip(some, await look.results.read(some), strict=True):
                        if record is None:
                            unknown.add(id)
                        elif record.state.is_final:
                            records[id] = record
            if len(unknown) + len(records) == len(sent):
                break
            await asyncio.sleep(0.1)
        return await self._read_again(look, sent)

    async def _read_again(self, look: Engine, ids: set[str]) -> dict[str, Record]:
        """All endings as they are now: what was overwritten meanwhile would show."""
        records: dict[str, Record] = {}
        ordered = sorted(ids)
        for start in range(0, len(ordered), READ_AT_ONCE):
            some = ordered[start : start + READ_AT_ONCE]
            for id, record in zip(some, await look.results.read(some), strict=True):
                if record is not None:
                    records[id] = record
        return records

    async def _send_home(self) -> None:
        for post in self._fleet.posts:
            if post.worker is not None and post.worker.is_running:
                await asyncio.to_thread(post.worker.stop)

    async def _left(self, look: Engine) -> dict[str, int]:
        """What the engine still keeps of it: first what should be gone by now, then what time should take away."""
        found = {
            f"{lane.queue}/{lane.pool}: queued {lane.queued}, scheduled {lane.scheduled}, running {lane.running}": 1
            for lane in await look.inspector.lanes()
            if lane.queued or lane.scheduled or lane.running
        }
        found |= {
            f"held by worker {view.heartbeat.worker}": view.holds
            for view in await look.inspector.workers()
            if view.holds
        }
        await look.inspector.act("purge", Search(dead=True))
        later = open_engine(self._ground.url, backend=self._ground.backend, clock=lambda: time.time() + FUTURE_S)
        await later.broker.open()
        sweeper = Heartbeat("sweeper", "here", os.getpid(), time.time(), lease=60.0)
        deadline = time.time() + EMPTY_WITHIN_S
        try:
            while True:
                await later.broker.beat(sweeper)
                await asyncio.sleep(0.1)
                await later.broker.beat(msgspec.structs.replace(sweeper, is_leaving=True))
                left = await asyncio.to_thread(self._ground.left)
                if not left or time.time() > deadline:
                    return found | left
        finally:
            await later.broker.close()

    def _heard(self) -> tuple[list[Fence], int]:
        """What workers said of leases that they lost and endings that were refused."""
        fences, refused = [], 0
        for log in sorted(self._folder.glob("worker-*.log")):
            text = log.read_text(errors="replace")
            life = log.stem.removeprefix("worker-")
            for said in FENCED.findall(text):
                at = datetime.strptime(said, "%Y-%m-%d %H:%M:%S,%f").timestamp()
                fences.append(Fence(life, at))
            refused += len(REFUSED.findall(text))
            self._failures += [f"worker {life}: {line}" for line in BROKEN.findall(text)]
        return fences, refused
