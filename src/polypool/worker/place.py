"""Placement: which pool runs a task with pool="auto", by what was measured of it here."""

from collections.abc import Callable, Mapping, Sequence

from polypool.core.manifest import Manifest, TaskSpec
from polypool.core.message import Delivery
from polypool.core.pool_port import Pool
from polypool.core.settings import AUTO
from polypool.observe.placement import place
from polypool.worker.book import Book

LOOK_EVERY = 20
"""Runs of a task between two looks at where it belongs: a look costs more than a run may take."""


class Placement:
    """The lane of tasks that polypool places itself."""

    def __init__(
        self, book: Book, start: Callable[[Sequence[Delivery], Pool], None], pools: Mapping[str, Pool]
    ) -> None:
        self._book = book
        self._start = start
        self._pools = pools
        self._tasks: dict[str, TaskSpec] = {}
        self._kinds: dict[str, str] = {}
        self._runs: dict[str, int] = {}

    def learn(self, manifest: Manifest) -> None:
        """Take over the tasks of a (new) manifest."""
        self._tasks = {spec.name: spec for spec in manifest.tasks if spec.pool == AUTO}

    def kinds(self) -> set[str]:
        """Every pool these tasks may need."""
        return {
            kind for spec in self._tasks.values() for kind in ("asyncio" if spec.is_async else "threads", "prefork")
        }

    def free(self) -> int:
        """How many more can begin, wherever they belong: as many as the fullest of the pools now in use takes."""
        return min((self._pools[kind].free() for kind in {self._kind(task) for task in self._tasks}), default=0)

    def start(self, deliveries: Sequence[Delivery]) -> None:
        """Bring each delivery into the pool its task belongs to now."""
        by_kind: dict[str, list[Delivery]] = {}
        for delivery in deliveries:
            by_kind.setdefault(self._kind_for_run(delivery.message.task), []).append(delivery)
        for kind, group in by_kind.items():
            self._start(group, self._pools[kind])

    def _kind(self, task: str) -> str:
        if task not in self._kinds:
            self._look(task)
        return self._kinds[task]

    def _kind_for_run(self, task: str) -> str:
        if task not in self._tasks:
            return next(iter(self._pools))  # an unknown task: refused there, with the reason
        runs = self._runs[task] = self._runs.get(task, 0) + 1
        if runs % LOOK_EVERY == 0:
            self._look(task)
        return self._kind(task)

    def _look(self, task: str) -> None:
        self._kinds[task] = place(self._tasks[task].is_async, self._book.of_task(task), self._kinds.get(task))
