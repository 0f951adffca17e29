"""Staff: keeps as many children alive as a pool is to have, and exchanges them for new ones."""

import asyncio
import logging
from collections.abc import Callable

from polypool.core.error import ConfigurationError
from polypool.core.pool_port import PoolWatcher
from polypool.pools.member import Home, Member, Size, Stage
from polypool.pools.template import Template

log = logging.getLogger("polypool.pools")

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 30.0
"""Before a child that could not start is tried again; doubles each time."""
LOST_WITH_ITS_TEMPLATE = 3
"""Starts that may fail with the process they were forked from, which somebody killed, before the app is to blame."""


class Staff:
    """The children of one pool. Those in `ready` take calls."""

    def __init__(
        self, children: int, size: Size, home: Home, watcher: PoolWatcher, template: Callable[[], Template | None]
    ) -> None:
        self.members: list[Member] = []
        self.ready: list[Member] = []
        self.first_ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Nobody need wait for it.
        self.first_ready.add_done_callback(lambda future: future.cancelled() or future.exception())
        self._children = children
        self._size = size
        self._home = home
        self._watcher = watcher
        self._template = template
        self._successors: dict[Member, Member] = {}
        self._failed_starts = 0
        self._told = ""
        self._is_stopping = False

    def start(self) -> None:
        """Start what is missing."""
        staying = [m for m in self.members if m.stage in (Stage.STARTING, Stage.READY)]
        missing = self._children - len(staying) + len(self._successors)
        if self._is_stopping or missing <= 0:
            return
        if self._template() is None:
            # It was lost, which is no fault of the app's; its successor is on its way.
            asyncio.get_running_loop().call_later(FIRST_PAUSE, self.start)
            return
        try:
            for _ in range(missing):
                self._bear()
        except (ConfigurationError, OSError) as error:
            self._try_later(str(error))

    def became_ready(self, member: Member) -> None:
        """Have it take calls; one it replaces leaves."""
        self._failed_starts, self._told = 0, ""
        self.ready.append(member)
        if not self.first_ready.done():
            self.first_ready.set_result(None)
        former = self._successors.pop(member, None)
        if former is not None:
            self.let_go(former)

    def let_go(self, member: Member, recalls: bool = True) -> None:
        """Give it nothing more; it exits once its calls have ended."""
        if member in self.ready:
            self.ready.remove(member)
        if recalls:
            member.recall()
        member.leave()
        self.start()

    def roll(self, grace: float) -> None:
        """Exchange children of older templates: each leaves when its successor is ready, by `grace` at the latest."""
        template, loop = self._template(), asyncio.get_running_loop()
        for member in [m for m in self.members if m.template is not template]:
            if member.stage is Stage.STARTING:
                member.kill({})
            elif member.stage is Stage.READY and member not in self._successors.values():
                self._successors[self._bear()] = member
                loop.call_later(grace, self._lose_patience, member)

    def gone(self, member: Member, reason: str) -> None:
        """Put another one in its place, later if it could not even start."""
        self.members.remove(member)
        if member in self.ready:
            self.ready.remove(member)
        former = self._successors.pop(member, None)
        if self._is_stopping:
            return
        if member.was_ready or member.was_killed:
            self.start()
        elif member.template is not self._template() and self._failed_starts < LOST_WITH_ITS_TEMPLATE:
            self._failed_starts += 1
            self.start()
        else:
            self._try_later(reason)
        if former is not None and former in self.ready:
            log.error("new code does not start; %s child %s goes on with the old code", self._size.kind, former.pid)

    def stop(self) -> None:
        """Let all go, for good."""
        self._is_stopping = True
        for member in list(self.members):
            self.let_go(member)
        if not self.first_ready.done():
            self.first_ready.set_exception(ConfigurationError("the pool was stopped before a child was ready"))

    def _bear(self) -> Member:
        template = self._template()
        if template is None:
            raise ConfigurationError("the template process is being replaced")
        member = Member(template, self._size, self._home, self._watcher)
        self.members.append(member)
        return member

    def _lose_patience(self, member: Member) -> None:
        if member.stage is Stage.LEAVING:
            member.kill({})

    def _try_later(self, reason: str) -> None:
        pause = min(FIRST_PAUSE * 2.0 ** min(self._failed_starts, 20), LONGEST_PAUSE)
        self._failed_starts += 1
        if reason != self._told:
            log.error("a %s child cannot start: %s", self._size.kind, reason)
            self._told = reason
        log.warning("trying to start a %s child again in %.1f s", self._size.kind, pause)
        if not self.first_ready.done() and not self.ready:
            self.first_ready.set_exception(ConfigurationError(f"a {self._size.kind} child cannot start: {reason}"))
        asyncio.get_running_loop().call_later(pause, self.start)
