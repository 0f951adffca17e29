"""Acts: what is done to a fleet and its engine, each written into the history with the processes it concerned."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from bench.chaos.fleet import THIS, Fleet, Post
from bench.chaos.ground import Ground
from bench.chaos.history import Act, History
from bench.processes import tree
from polypool.core.error import EngineError
from polypool.core.port import Engine
from tests.engines.proxy import Proxy

PATIENCE_S = 60.0
SAME_NAME = 0.3
"""How often a worker that is started again has the name of the one before, as under a supervisor that numbers them."""


class Acts:
    """One method an act. Each returns when what it disturbed is whole again."""

    def __init__(self, ground: Ground, fleet: Fleet, proxies: list[Proxy], dice: random.Random, look: Engine) -> None:
        self._ground, self._fleet, self._proxies, self._dice, self._look = ground, fleet, proxies, dice, look
        self._history = History(fleet.history, "acts")
        self._is_away = False
        self.kill_producer: Callable[[], Awaitable[tuple[int, ...]]] | None = None
        self.sources = [THIS]
        self.is_short = False
        self.has_priorities = look.broker.traits.priorities

    def known(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """All acts that this engine allows, by name."""
        acts: dict[str, Callable[[], Awaitable[None]]] = {
            "kill child": self.kill_child,
            "kill worker": self.kill_worker,
            "kill producer": self.kill_a_producer,
            "stop worker": self.stop_worker,
            "deploy": self.deploy,
        }
        if self._ground.outages:
            acts["outage"] = self.take_engine_away
        if self._proxies:
            acts |= {"cut": self.cut, "unheard": self.leave_unheard}
        return acts

    async def kill_child(self) -> None:
        """SIGKILL to a process below a worker; the one that the others are forked from may be hit too."""
        post = self._free_post()
        if post is None or post.worker is None:
            return
        children = post.worker.children()
        if not children:
            return
        chosen = self._dice.choice(children)
        at, pids = time.time(), tuple(tree(chosen))
        with suppress(ProcessLookupError):
            os.kill(chosen, signal.SIGKILL)
        self._write("kill child", at, "", pids)

    async def kill_worker(self) -> None:
        """SIGKILL to a supervisor; another worker takes its place after a while."""
        post = self._free_post()
        if post is None or post.worker is None:
            return
        post.is_busy = True
        at = time.time()
        pids = tuple(post.worker.kill())
        self._write("kill worker", at, post.life, pids)
        await asyncio.sleep(self._dice.uniform(0, 1.5))
        self._start_again(post)

    async def deploy(self) -> None:
        """SIGTERM, and a worker of one of the releases in its place."""
        post = self._free_post()
        if post is None or post.worker is None:
            return
        post.is_busy = True
        at, life = time.time(), post.life
        os.kill(post.worker.pid, signal.SIGTERM)
        deadline = at + PATIENCE_S
        while post.worker.is_running and time.time() < deadline:
            await asyncio.sleep(0.05)
        self._write("deploy" if not post.worker.is_running else "deploy that never ended", at, life)
        post.worker.stop()
        post.source = self._dice.choice(self.sources)
        self._start_again(post)

    async def mend(self) -> None:
        """What a service manager does, for ever: a worker that ended by itself is started again."""
        while True:
            await asyncio.sleep(0.2)
            for post in self._fleet.posts:
                if post.worker is not None and not post.is_busy and not post.worker.is_running:
                    self._write("worker gave up", time.time(), post.life)
                    self._fleet.start(post)

    async def stop_worker(self) -> None:
        """SIGSTOP to a supervisor, or to it and its children, until the engine has given away what it held."""
        post = await self._working_post()
        if post is None or post.worker is None:
            return
        pids = tree(post.worker.pid) if self._dice.random() < 0.5 else [post.worker.pid]
        at, life = time.time(), post.life
        _signal(pids, signal.SIGSTOP)
        await asyncio.sleep(self._fleet.lease_s * self._dice.uniform(1.0, 1.6))
        await self._wait_for(lambda holds, is_alive: not is_alive and holds == 0, post.name, PATIENCE_S)
        _signal(pids, signal.SIGCONT)
        self._write("stop worker", at, life, tuple(pids))
        await asyncio.sleep(1.0)
        post.is_busy = False

    async def take_engine_away(self) -> None:
        if self._is_away:
            return
        self._is_away = True
        slow = self._ground.slow_outages if self.is_short else frozenset[str]()
        how = self._dice.choice(sorted(self._ground.outages.keys() - slow))
        at = time.time()
        await self._ground.outages[how](self._fleet.lease_s * self._dice.uniform(0.1, 1.5))
        self._write(f"outage: {how}", at)
        self._is_away = False

    async def cut(self) -> None:
        """Connections end in the middle of what they carry, a question or an answer."""
        proxy = self._dice.choice(self._proxies)
        before, at = proxy.cuts, time.time()
        proxy.cut_after(self._dice.randint(1, 3000), is_answer=self._dice.random() < 0.5)
        deadline = time.time() + 2.0
        while proxy.cuts == before and time.time() < deadline:
            await asyncio.sleep(0.01)
        self._write("cut" if proxy.cuts > before else "cut of nothing", at)

    async def leave_unheard(self) -> None:
        """What is asked is done, but the answer is lost with the connection."""
        proxy = self._dice.choice(self._proxies)
        at, proxy.is_mute = time.time(), True
        await asyncio.sleep(self._dice.uniform(0.05, 0.5))
        proxy.cut()
        proxy.is_mute = False
        self._write("unheard", at)

    async def kill_a_producer(self) -> None:
        """SIGKILL, mostly in the middle of a send; it is started again and goes on with what it had written down."""
        if self.kill_producer is not None:
            at = time.time()
            pids = await self.kill_producer()
            if pids:
                self._write("kill producer", at, "", pids)

    async def _working_post(self) -> Post | None:
        """One that holds something, while nothing is being done to any, so that others can take over; now busy."""
        deadline = time.time() + PATIENCE_S / 4
        while time.time() < deadline:
            post = None if any(other.is_busy for other in self._fleet.posts) else self._free_post()
            if post is not None:
                post.is_busy = True
                if await self._wait_for(lambda holds, is_alive: is_alive and holds > 0, post.name, 1.0):
                    return post
                post.is_busy = False
            await asyncio.sleep(0.1)
        return None

    def _free_post(self) -> Post | None:
        posts = [post for post in self._fleet.posts if not post.is_busy and post.worker and post.worker.is_running]
        return self._dice.choice(posts) if posts else None

    def _start_again(self, post: Post) -> None:
        self._fleet.start(post, post.name if self._dice.random() < SAME_NAME else None)
        post.is_busy = False

    async def _wait_for(self, condition: Callable[[int, bool], bool], name: str, patience: float) -> bool:
        """Until the engine sees a worker so; what it does not know holds nothing and is dead."""
        deadline = time.time() + patience
        while time.time() < deadline:
            with suppress(EngineError, TimeoutError):
                async with asyncio.timeout(5):
                    seen = {view.heartbeat.worker: view for view in await self._look.inspector.workers()}
                view = seen.get(name)
                if condition(view.holds if view else 0, bool(view and view.is_alive)):
                    return True
            await asyncio.sleep(0.05)
        return False

    def _write(self, word: str, at: float, worker: str = "", pids: tuple[int, ...] = ()) -> None:
        self._history.write(Act(word, at, time.time(), worker, pids))


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
