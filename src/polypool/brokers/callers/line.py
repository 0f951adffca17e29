"""CallersLine: a Line whose sends go over the sender's own connection, into the transaction that is open there."""

from collections.abc import Generator
from typing import Any, cast

from polypool.brokers.callers.connection import Caller
from polypool.core.ask import Ask, Put
from polypool.core.error import ConfigurationError, TraitMissing
from polypool.core.inside import Inside, Transactional
from polypool.core.port import Engine


def inside_of(engine: Engine) -> Inside:
    """How an engine takes messages inside a transaction of the sender's. TraitMissing where it does not."""
    if not engine.broker.traits.transactions:
        raise TraitMissing(
            f"task.using(connection) sends inside a database transaction, and {engine.place} has none that a program "
            'could share. Keep the tasks in that database (broker="postgresql://…" or "sqlite:///…", or as the '
            "backend behind an amqp:// broker), or send with delay() after the commit"
        )
    return cast(Transactional, engine).inside


class CallersLine:
    """The port `Line`, for sends only."""

    def __init__(self, inside: Inside, caller: Caller) -> None:
        self._inside = inside
        self._caller = caller

    def ask(self, ask: Ask) -> "Sending":
        if not isinstance(ask, Put):
            raise TypeError(f"{type(ask).__name__}: only sends go over the sender's own connection")
        return Sending(self._inside, self._caller, ask)


class Sending:
    """A send that is done when it is waited for, because only then its colour is known; the port `Answer`."""

    def __init__(self, inside: Inside, caller: Caller, put: Put) -> None:
        self._inside = inside
        self._caller = caller
        self._put = put

    def result(self, timeout: float | None = None) -> list[bool]:
        refuse_twin(self._caller, is_awaited=False)
        asking = self._inside.put(self._put.messages)
        try:
            statement = next(asking)
            while True:
                try:
                    rows = self._caller.run(statement)
                except Exception as error:
                    statement = asking.throw(error)
                else:
                    statement = asking.send(rows)
        except StopIteration as end:
            accepted: list[bool] = end.value
            return accepted

    def __await__(self) -> Generator[Any, None, list[bool]]:
        return self._awaited().__await__()

    async def _awaited(self) -> list[bool]:
        refuse_twin(self._caller, is_awaited=True)
        asking = self._inside.put(self._put.messages)
        try:
            statement = next(asking)
            while True:
                try:
                    rows = await self._caller.run(statement)
                except Exception as error:
                    statement = asking.throw(error)
                else:
                    statement = asking.send(rows)
        except StopIteration as end:
            accepted: list[bool] = end.value
            return accepted


def refuse_twin(caller: Caller, is_awaited: bool) -> None:
    """ConfigurationError where a blocking connection is awaited, or the other way round."""
    if caller.is_async and not is_awaited:
        raise ConfigurationError(
            f"this {caller.name} is awaited: write `await task.using(…).adelay(…)` (or aapply_async, amap)"
        )
    if is_awaited and not caller.is_async:
        raise ConfigurationError(
            f"this {caller.name} blocks: write `task.using(…).delay(…)` (or apply_async, map) without await"
        )
