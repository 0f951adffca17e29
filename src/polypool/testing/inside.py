"""Sends inside a transaction, in a test: recorded like any other. The connection is not used and may be any object."""

from collections.abc import Callable, Generator
from typing import Any

from polypool.brokers.callers.connection import Caller
from polypool.brokers.callers.line import refuse_twin
from polypool.brokers.callers.recognise import recognised
from polypool.core.ask import Ask
from polypool.core.port import Line


class LineInside:
    """The port `Line`, where `task.using(connection)` would have sent over that connection."""

    def __init__(self, put: Callable[[Ask], Any], connection: Any) -> None:
        self._put = put
        self._caller = recognised(connection)

    def ask(self, ask: Ask) -> "Sending":
        return Sending(self._put, ask, self._caller)


class Sending:
    """A send that is done when it is waited for, in the colour of its connection; the port `Answer`."""

    def __init__(self, put: Callable[[Ask], Any], ask: Ask, caller: Caller | None) -> None:
        self._put = put
        self._ask = ask
        self._caller = caller

    def result(self, timeout: float | None = None) -> Any:
        return self._done(is_awaited=False)

    def __await__(self) -> Generator[Any, None, Any]:
        yield from ()
        return self._done(is_awaited=True)

    def _done(self, is_awaited: bool) -> Any:
        if self._caller is not None:
            refuse_twin(self._caller, is_awaited)
        return self._put(self._ask)


def line_over(put: Callable[[Ask], Any]) -> Callable[[Any], Line]:
    """What makes such lines, for `Outlet.line_over`."""
    return lambda connection: LineInside(put, connection)
