"""Signature: a task with arguments, not yet sent."""

from collections.abc import Generator, Iterator, Mapping
from typing import Any, Literal, Protocol, TypeVar

from polypool.canvas.shape import Call
from polypool.composing.composed import Composed, chain, told_as_code
from polypool.composing.shaping import Encodes, Given, call_of, chunk_of
from polypool.core.manifest import TaskSpec
from polypool.outlet import Outlet
from polypool.results.result import AsyncResult

V = TypeVar("V")
W = TypeVar("W")


class CanBeCalled(Protocol):
    """A task, as far as a signature of it needs it."""

    @property
    def name(self) -> str: ...
    @property
    def spec(self) -> TaskSpec: ...
    @property
    def is_async(self) -> bool: ...
    @property
    def arguments(self) -> Encodes: ...
    @property
    def outlet(self) -> Outlet: ...
    @property
    def __call__(self) -> Any: ...


class Signature(Composed[V, AsyncResult[V]]):
    """A task with arguments, not yet sent. Made by `task.s(…)`, and by `task.si(…)` one that takes no more of them.

    With `each` its one argument is a list, and the task runs for every item of it (or with every tuple's values).
    """

    __slots__ = ("args", "each", "immutable", "kwargs", "task")

    def __init__(
        self,
        task: CanBeCalled,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        immutable: bool = False,
        each: Literal["item", "tuple"] | None = None,
    ) -> None:
        self.begin()
        self.task = task
        self.args = args
        self.kwargs = kwargs
        self.immutable = immutable
        self.each = each

    def __or__(self, other: Composed[W, Any]) -> chain[W]:
        return chain(self, other)

    @property
    def is_workflow(self) -> bool:  # type: ignore[override]
        return self.has_callbacks

    def outlets(self) -> Iterator[Outlet]:
        yield self.task.outlet

    def clone(self) -> "Signature[V]":
        copy: Signature[V] = Signature(self.task, self.args, self.kwargs, self.immutable, self.each)
        return copy.like(self)

    def shape(self, given: Given) -> Call:
        fields = self.fields(given)
        inner = given.inside(self.options, self.waiting[1])
        if self.each is not None:
            return chunk_of(self.task, self.args[0], self.each, inner, is_immutable=True, **fields)
        if self.immutable:
            return call_of(self.task, self.args, self.kwargs, inner.without_arguments(), is_immutable=True, **fields)
        args = (*inner.args, *self.args) if inner.args else self.args
        kwargs = {**self.kwargs, **inner.kwargs} if inner.kwargs else self.kwargs
        return call_of(self.task, args, kwargs, inner, **fields)

    def here(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Generator[Any, Any, Any]:
        if self.each is not None:
            values = []
            for item in self.args[0]:
                values.append((yield from self._run(tuple(item) if self.each == "tuple" else (item,), {})))
            return values
        if self.immutable:
            args, kwargs = (), {}
        return (yield from self._run((*args, *self.args), {**self.kwargs, **kwargs}))

    def _run(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Generator[Any, Any, Any]:
        value = yield self.task(*args, **kwargs)
        return (yield from value.here((), {})) if isinstance(value, Composed) else value

    def is_async(self) -> bool:
        return self.task.is_async

    def result(self, id: str, count: int | None) -> AsyncResult[V]:
        return AsyncResult(id, self.outlet)

    def __repr__(self) -> str:
        if self.each is not None:
            return f"<{self.task.name} for each of {len(self.args[0])}>{self.tail()}"
        kind = "si" if self.immutable else "s"
        return f"{self.task.name}.{kind}({told_as_code(self.args, self.kwargs)}){self.tail()}"
