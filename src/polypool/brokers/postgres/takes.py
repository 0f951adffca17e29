"""Takes whose answer reached nobody: what they brought is given back, uncounted. Otherwise it would stay with a worker
that does not know of it, and that goes on beating.

Such a take was cancelled, or its connection broke after the server had committed it.
"""

import asyncio
import itertools
import os
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Generic, TypeVar

from polypool.brokers.postgres.session import LONGEST_STATEMENT, Connection, Session

T = TypeVar("T")

LATEST = 2 * LONGEST_STATEMENT
"""Seconds after which no statement comes into effect whose connection broke: a server may run it long after that."""


class Takes:
    """One engine's takes, each with a number that stays with the rows it claimed."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._numbers = itertools.count(int.from_bytes(os.urandom(5), "big") << 22)
        """Of which none is given twice, by whatever process."""
        self._unheard: dict[str, dict[int, float]] = {}
        """By worker: the takes to give back, each with the time until which the server may yet do it."""
        self._given_back: set[int] = set()
        """Those of them that were given back once."""
        self._abandoned: dict[str, set[asyncio.Task[Any]]] = {}
        """By worker: takes under way whose answer nobody waits for."""

    async def run(self, worker: str, take: Callable[[Connection, int], Awaitable[T]]) -> T:
        """Do one; its answer is true if it brought something. Whatever keeps that from being returned, what it brought
        is given back."""
        while abandoned := self._abandoned.get(worker):
            await asyncio.wait(abandoned)  # or what they bring would be missing here, though nobody else gets it
        if not self._given_back.issuperset(self._unheard.get(worker, ())):
            await self.give_back(worker)
        trial: _Trial[T] = _Trial(worker, take, self._numbers)
        running = self._session.start(self._run(trial))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            trial.is_abandoned = True
            if not running.done():
                self._abandoned.setdefault(worker, set()).add(running)
                running.add_done_callback(self._abandoned[worker].discard)
            elif not running.cancelled() and running.exception() is None:
                self._give_up(trial, running.result())
            raise

    async def _run(self, trial: "_Trial[T]") -> T:
        try:
            answer = await self._session.run(trial.run)
        except BaseException:
            until = asyncio.get_running_loop().time() + LATEST
            self._unheard.setdefault(trial.worker, {}).update(dict.fromkeys(trial.numbers, until))
            raise
        if repeated := trial.numbers[:-1]:
            self._unheard.setdefault(trial.worker, {}).update(dict.fromkeys(repeated, 0.0))
        if trial.is_abandoned:
            self._give_up(trial, answer)
        return answer

    def _give_up(self, trial: "_Trial[T]", answer: T) -> None:
        """Whoever asked has gone: what it was to get waits again, as if never taken."""
        if answer:
            self._unheard.setdefault(trial.worker, {})[trial.numbers[-1]] = 0.0
            self._session.begin(self.give_back(trial.worker))

    async def give_back(self, worker: str) -> None:
        """Give back what this worker's unheard takes brought. Those that may yet come into effect are looked for again
        by the next call."""
        unheard = self._unheard.get(worker)
        if not unheard:
            return
        now, numbers = asyncio.get_running_loop().time(), list(unheard)
        await self._session.run(lambda connection: connection.rows("give_back", worker, numbers))
        for number in numbers:
            if unheard.get(number, 0.0) > now:
                self._given_back.add(number)
            else:
                unheard.pop(number, None)
                self._given_back.discard(number)


class _Trial(Generic[T]):
    """One take, and the numbers of its tries: a session repeats what the server undid."""

    def __init__(self, worker: str, take: Callable[[Connection, int], Awaitable[T]], numbers: Iterator[int]) -> None:
        self.worker = worker
        self.numbers: list[int] = []
        self.is_abandoned = False
        self._take = take
        self._next = numbers

    async def run(self, connection: Connection) -> T:
        self.numbers.append(next(self._next))
        return await self._take(connection, self.numbers[-1])
