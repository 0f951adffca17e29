"""The ports of the pools, as Protocols: what runs calls, seen from the supervisor and from inside a child.

Pool         calls run in child processes, seen from the supervisor (pools/pool.py)
PoolWatcher  the worker, as a pool sees it (worker/execute.py)
Executor     calls share one child process (pools/executors/)
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from polypool.core.ask import Ask
from polypool.core.event import Event
from polypool.core.message import Delivery
from polypool.core.outcome import Outcome


class PoolWatcher(Protocol):
    """What a pool tells the worker. Called on the supervisor's loop; must return at once."""

    def ended(self, delivery: Delivery, outcome: Outcome) -> None:
        """A call is over, in whatever way. Exactly once for each delivery given to `run`."""

    def emitted(self, id: str, events: Sequence[Event]) -> None: ...
    def asked(self, ask: Ask, reply: Callable[[Any, Exception | None], None]) -> Callable[[], object]:
        """Answer a child's ask. What it returns is called when nobody waits for the answer any more."""

    def blocked(self, task: str, id: str, seconds: float, stack: str) -> None:
        """An event loop has not turned for so long; `stack` shows where."""


class Pool(Protocol):
    """Calls run in child processes of one kind."""

    @property
    def kind(self) -> str: ...

    def free(self) -> int:
        """How many more calls it can take now: free slots, and a little ahead for tasks measured to be short."""

    def run(self, deliveries: Sequence[Delivery]) -> None:
        """Begin calls; each ends with `PoolWatcher.ended`."""

    def cancel(self, id: str) -> None:
        """End a call early: its outcome is Cancelled, or how it ended meanwhile."""

    async def stop(self, grace: float) -> None:
        """Let running calls end for `grace` seconds; give the rest back as Deferred, ended children and all."""


class Executor(Protocol):
    """Runs calls that share one child process. `serve` owns the main thread; the rest comes from the reading thread."""

    @property
    def has_loop(self) -> bool:
        """Whether all calls share a loop that one of them can block."""

    def serve(self) -> None:
        """Run calls until `stop`, then end what is held and return."""

    def run(self, calls: Sequence[Any]) -> None: ...

    def interrupt(self, call: Any, error: BaseException, is_cancel: bool) -> None:
        """Raise something inside a call that has begun; nothing if it has ended meanwhile."""

    def turn(self, when_turned: Callable[[], None]) -> None:
        """Have the loop call back at its next turn. For those that have one."""

    def stop(self) -> None: ...
