"""Group commit: what piles up while the connection is busy is written as one."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from polypool.brokers.postgres.session import Connection, Session
from polypool.core.error import EngineUnreachable

A = TypeVar("A")
B = TypeVar("B")
Request = tuple[list[A], asyncio.Future[Sequence[B]]]

ROWS, BYTES = 2000, 8 * 1024 * 1024
"""What one statement is given at most."""


class Pile(Generic[A, B]):
    """Requests of one kind. Each is a list, answered with a list as long; `write` does any number of them at once."""

    def __init__(
        self,
        session: Session,
        write: Callable[[Connection, list[A]], Awaitable[Sequence[B]]],
        size: Callable[[A], int],
    ) -> None:
        self._session = session
        self._write = write
        self._size = size
        self._waiting: deque[Request[A, B]] = deque()
        self._is_running = False

    async def add(self, items: list[A]) -> Sequence[B]:
        """Have these written; what becomes of them. Cancelling the wait does not take them back."""
        if not items:
            return []
        answer: asyncio.Future[Sequence[B]] = asyncio.get_running_loop().create_future()
        self._waiting.append((items, answer))
        if not self._is_running:
            self._is_running = True
            self._session.begin(self._write_all())
        return await answer

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                requests: list[Request[A, B]] = []

                async def write(connection: Connection, requests: list[Request[A, B]] = requests) -> Sequence[B]:
                    # Gathered only now, when it is their turn: all that came meanwhile goes along.
                    if not requests:
                        requests.extend(self._next())
                    return await self._write(connection, _items(requests))

                try:
                    _answer(requests, await self._session.run(write))
                except Exception as error:
                    await self._fail(requests or self._next(), error)
        finally:
            self._is_running = False

    def _next(self) -> list[Request[A, B]]:
        requests: list[Request[A, B]] = []
        rows = size = 0
        while self._waiting:
            items = self._waiting[0][0]
            rows += len(items)
            size += sum(map(self._size, items))
            if requests and (rows > ROWS or size > BYTES):
                break
            requests.append(self._waiting.popleft())
        return requests

    async def _fail(self, requests: list[Request[A, B]], error: Exception) -> None:
        """One bad request must not fail its neighbours, so each is tried alone; but not where nobody can be reached."""
        if len(requests) == 1 or isinstance(error, EngineUnreachable):
            for _, future in requests:
                if not future.done():
                    future.set_exception(error)
            return
        for request in requests:
            try:
                answers = await self._session.run(lambda c, request=request: self._write(c, request[0]))  # type: ignore[misc]
                _answer([request], answers)
            except Exception as own:
                if not request[1].done():
                    request[1].set_exception(own)


def _items(requests: list[Request[A, B]]) -> list[A]:
    return [item for items, _ in requests for item in items]


def _answer(requests: list[Request[A, B]], answers: Sequence[B]) -> None:
    """To be called when the transaction is over: behind a proxy each job is one, and its commit may fail."""
    start = 0
    for items, future in requests:
        if not future.done():
            future.set_result(answers[start : start + len(items)])
        start += len(items)
