"""Pulse: notices from the supervisor a child in which not even its own threads run.

C code that keeps the interpreter lock (a regular expression gone wild, a large sort, a driver) stops the child's watch
together with the loop it watches. The stack then comes from a signal handler in C, which needs no lock.
"""

import asyncio
import time
from collections.abc import Callable

from polypool.pools.member import Member

EVERY = 0.25
SLACK = 0.3
"""Seconds beyond `blocked_after`: a child that can speak speaks first."""
AGAIN_AFTER = 10.0


class Pulse:
    """Looks at the children four times a second while any of them runs calls on a loop."""

    def __init__(self, members: Callable[[], list[Member]], blocked_after: float) -> None:
        self._members = members
        self._patience = blocked_after + SLACK
        self._is_looking = False
        self._asked: set[Member] = set()
        self._told: dict[Member, float] = {}

    def notice(self) -> None:
        """A call was handed to a child."""
        if not self._is_looking:
            self._is_looking = True
            asyncio.get_running_loop().call_later(EVERY, self._look)

    def _look(self) -> None:
        self._is_looking = False
        members = self._members()
        now = time.monotonic()
        for member in members:
            pulse = member.pulse
            silent = now - pulse / 1e9 if pulse else 0.0
            if silent < self._patience:
                self._asked.discard(member)
                self._told.pop(member, None)
            elif now - self._told.get(member, -AGAIN_AFTER) >= AGAIN_AFTER:
                self._tell(member, silent, now)
        if any(member.held for member in members):
            self.notice()
        else:
            self._asked.clear()
            self._told.clear()

    def _tell(self, member: Member, silent: float, now: float) -> None:
        """First ask for the stack, tell at the next look, when it is written."""
        if member not in self._asked:
            self._asked.add(member)
            member.ask_stack()
            return
        self._asked.discard(member)
        self._told[member] = now
        member.tell_blocked(0, silent, member.stack or "(C code holds the interpreter lock; no stack can be had)")
