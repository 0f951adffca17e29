"""run_in_place: tasks run here, in the test's own process, as soon as they are due on a clock that the test moves."""

import contextvars
import time
from types import TracebackType
from typing import Any, Self

from polypool.app import Polypool
from polypool.core.ask import Ask, Await, Follow, Put, Read, Seal
from polypool.core.error import ConfigurationError
from polypool.core.event import Page, Record
from polypool.core.lifecycle import State
from polypool.core.running import running
from polypool.testing.driver import Driver, Pending, has_loop
from polypool.testing.inside import line_over
from polypool.testing.record import Captured
from polypool.testing.runner import Runner, Work
from polypool.testing.stepping import Done


def run_in_place(app: Polypool, *, raise_errors: bool = False) -> "Place":
    """`with run_in_place(app) as place:`, or `async with` in an async test: what is sent runs here and at once.

    What is sent with `task.using(connection)` waits for a commit, which nobody sees here: it runs when its result is
    waited for, with the next other send, or at `place.advance(0)`.
    The app's lifespan and middleware go around it as in a worker. What waits for its time (a countdown, a retry)
    runs when `place.advance(seconds)` moves the clock there. A run that failed raises at `get()`; with
    `raise_errors=True` already where it was sent.
    """
    return Place(app, raise_errors)


class Place:
    """Where tasks run under `run_in_place`."""

    def __init__(self, app: Polypool, raise_errors: bool) -> None:
        self.now = time.time()
        """Unix time here. It stands still but for `advance`."""
        self.sent = Captured(app.tasks)
        """All that was sent, by tasks too."""
        self._app = app
        self._raises = raise_errors
        self._runner = Runner(app, lambda: self.now, self.sent.add)
        self._driver = Driver(self._runner.invoker)
        self._lifespan: Any = None
        self._former = app.outlet.line, app.outlet.line_over, app.outlet.now

    def advance(self, seconds: float) -> None:
        """Move the clock; run what becomes due on the way, each at its time."""
        self._driver.carry(self._advanced(seconds))

    async def aadvance(self, seconds: float) -> None:
        await self._driver.acarry(self._advanced(seconds))

    def ask(self, ask: Ask) -> Done | Pending:
        """The port `Line`."""
        if isinstance(ask, Put | Seal):
            reply = self._put(ask) if isinstance(ask, Put) else self._runner.answer(ask)
            # What a task sends runs when that task is over, or is waited for: as in a worker, not inside of it.
            is_inside = running.get() is not None
            return Done(reply) if is_inside else Pending(self._driver, self._after_send(reply))
        if isinstance(ask, Await):
            return Pending(self._driver, self._awaited(ask))
        if isinstance(ask, Follow):
            return Pending(self._driver, self._followed(ask))
        return Done(self._runner.answer(ask))

    def _put(self, ask: Any) -> list[bool]:
        self.sent.add(ask.messages)
        return self._runner.put(ask.messages)

    def __enter__(self) -> Self:
        if self._app.lifespan is not None:
            self._lifespan = self._app.lifespan(self._app)
            if hasattr(self._lifespan, "__aenter__"):
                if has_loop():
                    raise ConfigurationError("this app's lifespan is async: write `async with run_in_place(app)`")
                self._driver.wait_for(self._enter_lifespan())
            else:
                self._runner.invoker.state = self._lifespan.__enter__()
                self._runner.invoker.context = contextvars.copy_context()
        return self._taken()

    def __exit__(self, *error: Any) -> None:
        self._given_back()
        try:
            if hasattr(self._lifespan, "__aexit__"):
                self._driver.wait_for(self._lifespan.__aexit__(*error))
            elif self._lifespan is not None:
                self._lifespan.__exit__(*error)
        finally:
            self._driver.close()

    async def __aenter__(self) -> Self:
        if self._app.lifespan is not None:
            self._lifespan = self._app.lifespan(self._app)
            await self._enter_lifespan()
        return self._taken()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._given_back()
        if hasattr(self._lifespan, "__aexit__"):
            await self._lifespan.__aexit__(kind, error, trace)
        elif self._lifespan is not None:
            self._lifespan.__exit__(kind, error, trace)

    def _taken(self) -> Self:
        outlet = self._app.outlet
        outlet.line, outlet.line_over, outlet.now = self, line_over(self._put), lambda: self.now
        return self

    def _given_back(self) -> None:
        outlet = self._app.outlet
        outlet.line, outlet.line_over, outlet.now = self._former

    async def _enter_lifespan(self) -> None:
        if hasattr(self._lifespan, "__aenter__"):
            self._runner.invoker.state = await self._lifespan.__aenter__()
        else:
            self._runner.invoker.state = self._lifespan.__enter__()
        self._runner.invoker.context = contextvars.copy_context()

    def _after_send(self, reply: Any) -> Work[Any]:
        yield from self._runner.run_due(self._raises)
        return reply

    def _awaited(self, ask: Await) -> Work[list[Record]]:
        yield from self._runner.run_due(self._raises)
        ended: list[Record] = self._runner.answer(ask)
        if not ended and (reason := self._not_yet(ask.ids)):
            raise reason
        return ended

    def _followed(self, ask: Follow) -> Work[Page]:
        page: Page = self._runner.answer(ask)
        if page == Page():
            yield from self._runner.run_due(self._raises)
            page = self._runner.answer(ask)
        if page == Page() and (reason := self._not_yet([ask.id])):
            raise reason
        return page

    def _advanced(self, seconds: float) -> Work[None]:
        until = self.now + seconds
        yield from self._runner.run_due(self._raises)
        while (due := self._runner.next_due()) is not None and due <= until:
            self.now = max(self.now, due)
            yield from self._runner.run_due(self._raises)
        self.now = until

    def _not_yet(self, ids: list[str]) -> TimeoutError | None:
        """Why none of these will end while the clock stands still; None when nothing is known of them."""
        for record in self._runner.answer(Read(ids)):
            if record is not None:
                return TimeoutError(f"{record.task} {record.id} {self._reason(record)}")
        return None

    def _reason(self, record: Record) -> str:
        if record.state is State.SCHEDULED and (due := self._runner.due_of(record.id)) is not None:
            return f"waits for its time: it is due in {due - self.now:g} s; place.advance({due - self.now:g}) runs it"
        if record.state is State.SCHEDULED:
            return (
                "waits for other steps of its workflow: `place.sent` lists what was sent, `result.status` of each tells"
            )
        return f"is {record.state}: it cannot end before the task that waits for it here"
