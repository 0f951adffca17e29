"""current: what a running task may know and say."""

import math
from typing import Any

from polypool.core.error import ConfigurationError, NoCurrentTask, RetryRequested
from polypool.core.ledger import Rate
from polypool.core.running import Running, running


class Current:
    """The task that runs here, whichever pool it runs in. Threads and greenlets that it starts itself do not see it,
    unless they are given its context (`contextvars.copy_context()`)."""

    __slots__ = ()

    @property
    def task_id(self) -> str:
        return _here("task_id").message.id

    @property
    def task(self) -> str:
        """The task's name."""
        return _here("task").message.task

    @property
    def attempt(self) -> int:
        """Number of this run, from 1; retries and runs lost with their process count."""
        return _here("attempt").attempt

    @property
    def parent_id(self) -> str | None:
        """The task that sent this one, if a task did."""
        return _here("parent_id").message.parent

    @property
    def root_id(self) -> str:
        """The task that this one's line of senders began with; itself, if no task sent it."""
        message = _here("root_id").message
        return message.root or message.id

    @property
    def state(self) -> Any:
        """What the app's `lifespan` yielded in this process: its clients and connections."""
        return _here("state").state

    def progress(self, done: float, total: float | None = None, note: str = "") -> None:
        """Tell watchers how far it is. Costs no wait; may be called as often as you like."""
        _here("progress").progress(done, total, note)

    def emit(self, data: Any) -> None:
        """Put a value (plain data, a dataclass or a Struct) in the task's stream, for `result.events()`."""
        _here("emit").emit(data)

    def spend(self, key: str, used: float) -> None:
        """Say what the run used in truth of a limit whose cost was estimated: `current.spend("openai-tokens", 812)`.

        Several add up. More than the estimate is owed at once, so that others wait longer; what was not used is free
        when the run ends. Costs no wait.
        """
        under_way = _here("spend")
        charges = under_way.message.charges or ()
        keys = [charge.key for charge in charges if isinstance(charge, Rate)]
        if key not in keys:
            raise ConfigurationError(
                f"{under_way.message.task} has no rate limit called {key!r}, it has {', '.join(keys) or 'none'}; "
                "give it one: @app.task(limits=[Rate(…, cost=…)])"
            )
        if not (math.isfinite(used) and used >= 0):
            raise ValueError(f"{key}: used={used!r} must be a number, 0 or more")
        under_way.spend(key, float(used))

    def retry(self, countdown: float | None = None) -> RetryRequested:
        """Make the error to raise so that the task runs again: `raise current.retry(countdown=5)`.

        `countdown` is seconds; None takes the task's own backoff. Counts towards `max_retries`.
        """
        _here("retry")
        return RetryRequested(countdown)

    def __repr__(self) -> str:
        under_way = running.get()
        if under_way is None:
            return "<current: no task>"
        return f"<current: {under_way.message.task} {under_way.message.id}, attempt {under_way.attempt}>"


def _here(wanted: str) -> Running:
    under_way = running.get()
    if under_way is None:
        raise NoCurrentTask(
            f"current.{wanted} is only there while a worker runs a task, and none runs here. "
            "In a test, run the task with polypool.testing.run_in_place; in a thread of your own, "
            "start it with contextvars.copy_context().run"
        )
    return under_way


current = Current()
