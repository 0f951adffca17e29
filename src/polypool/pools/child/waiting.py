"""Waiting: a call that waits for the endings of other tasks, which may need the very slot that it runs in.

An `async def` on an event loop gives its slot up while it waits and so holds nothing but memory. In the other pools a
call cannot step aside, and what has not ended already is refused.
"""

from collections.abc import Callable, Generator
from typing import Any, Protocol

from polypool.core.ask import Ask, Await, Read
from polypool.core.event import Record
from polypool.core.running import wait_refused
from polypool.native import Answer


class Slots(Protocol):
    """An executor whose calls can step aside."""

    def leave(self, call: Any) -> None:
        """It waits: another call may begin in its place."""

    def come_back(self, call: Any) -> None:
        """It goes on, whether there is a free slot or not."""


class Aside:
    """The answer to a wait, for a call that steps aside while it awaits it. Satisfies `core.port.Answer`."""

    __slots__ = ("_answer", "_call", "_slots")

    def __init__(self, answer: Answer, call: Any, slots: Slots) -> None:
        self._answer = answer
        self._call = call
        self._slots = slots

    def result(self, timeout: float | None = None) -> Any:
        return self._answer.result(timeout)

    def __await__(self) -> Generator[Any, None, Any]:
        self._slots.leave(self._call)
        try:
            return (yield from self._answer.__await__())
        finally:
            self._slots.come_back(self._call)


def ended_already(wait: Await, ask: Callable[[Ask], Answer]) -> Answer:
    """An answer to a wait that does not wait: what has ended by now, or WaitInsideTask."""
    answer, read = Answer(), ask(Read(wait.ids))

    def look() -> None:
        try:
            records: list[Record | None] = read.result()
        except Exception as error:
            answer.set(error=error)
            return
        known = [record for record in records if record is not None]
        ended = [record for record in known if record.state.is_final]
        if ended or not known:
            answer.set(ended)
        else:
            answer.set(error=wait_refused(known[0].id, known[0].state))

    read.add_callback(look)
    return answer
