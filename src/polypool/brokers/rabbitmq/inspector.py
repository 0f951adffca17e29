"""The Inspector port: everything is known to the backend; only a purge concerns the queues, too."""

from collections.abc import Awaitable, Callable, Sequence

from polypool.core.measure import Tally
from polypool.core.message import Lane
from polypool.core.port import Inspector
from polypool.core.report import Action, LaneCount, Search, TaskView, WorkerView


class RabbitInspector:
    """Looks and acts for people."""

    def __init__(self, backend: Inspector, purge: Callable[[Sequence[Lane]], Awaitable[None]]) -> None:
        self._backend = backend
        self._purge = purge

    async def lanes(self) -> Sequence[LaneCount]:
        return await self._backend.lanes()

    async def workers(self) -> Sequence[WorkerView]:
        return await self._backend.workers()

    async def tallies(self) -> Sequence[Tally]:
        return await self._backend.tallies()

    async def find(self, search: Search) -> Sequence[TaskView]:
        return await self._backend.find(search)

    async def act(self, action: Action, search: Search) -> int:
        """A whole queue's copies are thrown away first: every one of them was enrolled before, so what they were of is
        purged with the rest. The other way round, a message sent in between would lose its only copy."""
        if action == "purge" and _is_of_whole_queues(search):
            counts = await self._backend.lanes()
            await self._purge([Lane(one.queue, one.pool) for one in counts if search.queue in (None, one.queue)])
        return await self._backend.act(action, search)


def _is_of_whole_queues(search: Search) -> bool:
    return not search.dead and search.ids is None and search.task is None and search.state is None
