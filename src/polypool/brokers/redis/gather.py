"""Group commit: what piles up while a write is in flight goes as the next one."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")

MOST = 1000
"""Items a write, so that no Lua call keeps the server from others for long."""


class Gather(Generic[Item]):
    """One kind of write. `write` takes a batch and answers it in its own order."""

    def __init__(self, write: Callable[[Sequence[Item]], Awaitable[Sequence[bool]]]) -> None:
        self._write = write
        self._piled: list[tuple[Sequence[Item], asyncio.Future[list[bool]]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def add(self, items: Sequence[Item]) -> list[bool]:
        """Write these, alone or with what else is there. Once begun it goes on, even if the caller is cancelled."""
        loop = asyncio.get_running_loop()
        futures = []
        for start in range(0, len(items), MOST):
            future: asyncio.Future[list[bool]] = loop.create_future()
            self._piled.append((items[start : start + MOST], future))
            futures.append(future)
        if self._writing is None:
            self._writing = loop.create_task(self._write_all())
        if len(futures) == 1:
            return await futures[0]
        answers: list[Any] = await asyncio.gather(*futures, return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        return [one for answer in answers for one in answer]

    async def finish(self) -> None:
        """Let everything added so far be written."""
        while self._writing is not None:
            await asyncio.wait([self._writing])

    async def _write_all(self) -> None:
        try:
            while self._piled:
                await self._write_some()
        finally:
            self._writing = None

    async def _write_some(self) -> None:
        items: list[Item] = []
        taken = 0
        for more, _ in self._piled:
            if taken and len(items) + len(more) > MOST:
                break
            items += more
            taken += 1
        batch, self._piled = self._piled[:taken], self._piled[taken:]
        try:
            answer = list(await self._write(items))
        except BaseException as error:
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
                    future.exception()
            if not isinstance(error, Exception):
                raise
            return
        at = 0
        for more, future in batch:
            if not future.done():
                future.set_result(answer[at : at + len(more)])
            at += len(more)


def all_but(places: Sequence[int], count: int) -> list[bool]:
    """True for each, except at these places, counted from 1."""
    answer = [True] * count
    for place in places:
        answer[place - 1] = False
    return answer
