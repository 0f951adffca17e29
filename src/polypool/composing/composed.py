"""Composed: what signatures, chains, groups and chords have in common; and the chain."""

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar, Unpack, overload

from polypool.canvas.shape import Chain, Shape
from polypool.composing.inline import run_here
from polypool.composing.inside import WorkflowInside
from polypool.composing.sending import asend_workflow, send_workflow
from polypool.composing.shaping import Given
from polypool.composing.streaming import Lazy
from polypool.composing.waiting import checked_name, checked_names, refuse_outside
from polypool.core.error import ConfigurationError, SendError
from polypool.core.running import Sendable
from polypool.option_names import ComposeOptions, WorkflowOptions
from polypool.options import check_send_options, split_callbacks
from polypool.outlet import Outlet
from polypool.results.result import AsyncResult
from polypool.sending.bulk import apart, checked_max_pending

V = TypeVar("V")
"""What running it comes to."""
R = TypeVar("R")
"""What sending it returns."""
W = TypeVar("W")


class Composed(Sendable, Generic[V, R]):
    """What can be sent as a workflow, and composed to larger ones: a signature, a chain, a group or a chord.

    `set`, `link` and `link_error` change it and return it. Composing takes copies, so that what is composed does not
    change with its parts. Methods that begin with `a` are the awaited twins of those that block.
    """

    __slots__ = ("_on_failure", "_on_success", "flow", "options", "waiting")

    is_workflow = True

    def begin(self) -> None:
        """Say nothing yet beyond its parts."""
        self.options: dict[str, Any] = {}
        self.flow: dict[str, Any] = {}
        """`progress` and `max_pending`: how a group's members are sent."""
        self.waiting: tuple[str | None, tuple[str, ...]] = (None, ())
        """The name by which others in its group wait for it, and the names of those that it waits for."""
        self._on_success: list[Composed[Any, Any]] = []
        self._on_failure: list[Composed[Any, Any]] = []

    def delay(self, *args: Any, **kwargs: Any) -> R:
        """Send it. Positional arguments go in front of those it has, keyword ones over them; of a workflow, to the
        steps that it begins with. Immutable ones take nothing."""
        return self.result(*send_workflow(self, self.outlet, args, kwargs))

    async def adelay(self, *args: Any, **kwargs: Any) -> R:
        return self.result(*await asend_workflow(self, self.outlet, args, kwargs))

    def apply_async(
        self, args: Iterable[Any] = (), kwargs: Mapping[str, Any] | None = None, **options: Unpack[WorkflowOptions]
    ) -> R:
        """Send it with options that hold for this once, as `Task.apply_async`.

        Of a workflow they hold for every step that does not say otherwise; countdown and eta for those that it begins
        with, `task_id` and callbacks for the whole. Where it begins with a group, `max_pending` and `progress` are
        as in `Task.map`.
        """
        return self.result(*send_workflow(self.with_options(options), self.outlet, tuple(args), kwargs or {}))

    async def aapply_async(
        self, args: Iterable[Any] = (), kwargs: Mapping[str, Any] | None = None, **options: Unpack[WorkflowOptions]
    ) -> R:
        sent = await asend_workflow(self.with_options(options), self.outlet, tuple(args), kwargs or {})
        return self.result(*sent)

    def using(self, connection: Any) -> WorkflowInside[R]:
        """It, sent over a database connection of your own, inside the transaction that is open there: all of its steps
        are there for workers exactly when that commits. As `Task.using`."""
        return WorkflowInside(self, connection)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it here and now, by plain function calls; a coroutine where one of its tasks is async. Options do not
        matter, and callbacks are not called."""
        return run_here(self, args, kwargs)

    def set(self: "C", **options: Unpack[ComposeOptions]) -> "C":
        """Give it options of its own, over those of its task, and callbacks. It is changed, and returned.

        In a group, `name` is what other members wait for it by, and `after` the names of those that it waits for: their
        results come as keyword arguments.
        """
        given: dict[str, Any] = dict(options)
        name, after = self.waiting
        name = checked_name(given.pop("name", name))
        after = checked_names(given.pop("after", after))
        on_success, on_failure = split_callbacks(given)
        progress, max_pending, given = apart(given)
        checked_max_pending(max_pending, blocks=False)
        check_send_options(f"{self!r}.set", given)
        self.waiting = name, after
        self.options.update(given)
        self.flow.update({"progress": progress} if progress is not None else {})
        self.flow.update({"max_pending": max_pending} if max_pending is not None else {})
        for callback in on_success:
            self.link(callback)
        for callback in on_failure:
            self.link_error(callback)
        return self

    def link(self: "C", callback: "Composed[Any, Any]") -> "C":
        """Have this sent too once it has succeeded, with its result as first argument."""
        self._on_success.append(part_of("a callback", callback).clone())
        return self

    def link_error(self: "C", callback: "Composed[Any, Any]") -> "C":
        """Have this sent once it has failed, with a `FailedStep` as first argument that says which step failed, and
        how. It is sent once, whichever of its steps it was."""
        self._on_failure.append(part_of("an error callback", callback).clone())
        return self

    def clone(self: "C") -> "C":
        """A copy that can be changed alone."""
        raise NotImplementedError

    @property
    def outlet(self) -> Outlet:
        """Of the app that it is sent through. ConfigurationError where its tasks are of several, or there are none."""
        return _the_one(self.outlets())

    def outlets(self) -> Iterator[Outlet]:
        """Of the apps of its tasks."""
        raise NotImplementedError

    def shape(self, given: Given) -> Shape:
        """It as a plain value, its arguments checked and encoded."""
        raise NotImplementedError

    def first_group(self) -> Lazy | None:
        """The group that it begins with, whose members need nothing of other steps."""
        return None

    def here(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Generator[Any, Any, Any]:
        """Its calls, one after the other: yields what each returns, and is sent its value."""
        raise NotImplementedError

    def is_async(self) -> bool:
        """Whether a task in it is."""
        raise NotImplementedError

    def result(self, id: str, count: int | None) -> R:
        """A handle on it, sent with this id."""
        raise NotImplementedError

    def with_options(self: "C", options: Mapping[str, Any]) -> "C":
        """A copy with these options too; itself where there are none."""
        return self.clone().set(**options) if options else self

    def fields(self, given: Given) -> dict[str, Any]:
        """What every shape has."""
        name, after = self.waiting
        fields: dict[str, Any] = {"name": name, "after": after}
        if self._on_success or self._on_failure:
            behind = given.for_callbacks(self.options)
            fields["on_success"] = tuple(one.shape(behind) for one in self._on_success)
            fields["on_failure"] = tuple(one.shape(behind) for one in self._on_failure)
        return fields

    @property
    def has_callbacks(self) -> bool:
        return bool(self._on_success or self._on_failure)

    @property
    def is_plain(self) -> bool:
        """Whether it says nothing beyond its parts."""
        return not (self.options or self.flow or self.has_callbacks or self.waiting != (None, ()))

    def like(self: "C", other: "C") -> "C":
        """Take another one's options and callbacks over."""
        self.options, self.flow, self.waiting = dict(other.options), dict(other.flow), other.waiting
        self._on_success, self._on_failure = list(other._on_success), list(other._on_failure)
        return self

    def tail(self) -> str:
        """What `set` and `link` would be called with to make it what it is."""
        name, after = self.waiting
        told = {**self.options, **self.flow}
        told.update({"name": name} if name is not None else {})
        told.update({"after": list(after)} if after else {})
        text = f".set({told_as_code((), told)})" if told else ""
        text += "".join(f".link({one!r})" for one in self._on_success)
        return text + "".join(f".link_error({one!r})" for one in self._on_failure)


C = TypeVar("C", bound=Composed[Any, Any])


class chain(Composed[V, AsyncResult[V]]):
    """One after the other, each with the result of the one before: `chain(a.s(1), b.s())`, or `a.s(1) | b.s()`."""

    __slots__ = ("tasks",)

    @overload
    def __init__(self, last: Composed[V, Any], /) -> None: ...
    @overload
    def __init__(self, first: Composed[Any, Any], last: Composed[V, Any], /) -> None: ...
    @overload
    def __init__(self, first: Composed[Any, Any], _2: Composed[Any, Any], last: Composed[V, Any], /) -> None: ...
    @overload
    def __init__(
        self, first: Composed[Any, Any], _2: Composed[Any, Any], _3: Composed[Any, Any], last: Composed[V, Any], /
    ) -> None: ...
    @overload
    def __init__(self, *steps: Composed[Any, Any]) -> None: ...
    @overload
    def __init__(self, steps: Iterable[Composed[Any, Any]], /) -> None: ...
    def __init__(self, *steps: Any) -> None:
        self.begin()
        self.tasks: Sequence[Composed[Any, Any]] = [one for part in parts_of("a chain", steps) for one in _steps(part)]
        """Its steps."""
        if not self.tasks:
            raise ConfigurationError("a chain needs at least one step, as in chain(fetch.s(url), store.s())")
        for step in self.tasks:
            refuse_outside(step, step.waiting, "a step of a chain")

    def __or__(self, other: Composed[W, Any]) -> "chain[W]":
        return chain(self, other)

    def outlets(self) -> Iterator[Outlet]:
        return (outlet for step in self.tasks for outlet in step.outlets())

    def clone(self) -> "chain[V]":
        copy: chain[V] = chain.__new__(chain)
        copy.tasks = [step.clone() for step in self.tasks]
        return copy.like(self)

    def shape(self, given: Given) -> Shape:
        inner, shapes = given.inside(self.options, self.waiting[1]), []
        for index, step in enumerate(self.tasks):
            try:
                shapes.append(step.shape(inner))
            except (SendError, ConfigurationError) as error:
                error.add_note(f"polypool: this was step {index + 1} of {len(self.tasks)} of a chain")
                raise
            if index == 0:
                inner = inner.behind()
        return Chain(tuple(shapes), **self.fields(given))

    def first_group(self) -> Lazy | None:
        return self.tasks[0].first_group()

    def here(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Generator[Any, Any, Any]:
        value = yield from self.tasks[0].here(args, kwargs)
        for step in self.tasks[1:]:
            value = yield from step.here((value,), {})
        return value

    def is_async(self) -> bool:
        return any(step.is_async() for step in self.tasks)

    def result(self, id: str, count: int | None) -> AsyncResult[V]:
        return AsyncResult(id, self.outlet)

    def __repr__(self) -> str:
        return f"chain({', '.join(map(repr, self.tasks))}){self.tail()}"


def part_of(where: str, value: Any) -> Composed[Any, Any]:
    """It, if it can be composed. TypeError."""
    if isinstance(value, Composed):
        return value
    hint = f"; write {value.name}.s(…)" if hasattr(value, "apply_async") and hasattr(value, "name") else ""
    raise TypeError(f"{where} is made of signatures, as task.s(…) returns them, and not of {value!r}{hint}")


def parts_of(where: str, given: tuple[Any, ...]) -> Iterator[Composed[Any, Any]]:
    """Copies of what is to be composed, given one by one or as one iterable."""
    if len(given) == 1 and not isinstance(given[0], Composed) and isinstance(given[0], Iterable):
        (given,) = given
    return (part_of(where, one).clone() for one in given)


def _the_one(outlets: Iterator[Outlet]) -> Outlet:
    first = next(outlets, None)
    if first is None:
        raise ConfigurationError("a group needs at least one member, as in group(fetch.s(url) for url in urls)")
    if any(outlet is not first for outlet in outlets):
        raise ConfigurationError(
            "the tasks of this workflow belong to several apps, and a workflow is sent to the broker of one; declare "
            "them all with one app, or have a task of the first app send what belongs to the other"
        )
    return first


def told_as_code(args: Iterable[Any], kwargs: Mapping[str, Any]) -> str:
    """Arguments as somebody would write them."""
    return ", ".join([*map(repr, args), *(f"{name}={value!r}" for name, value in kwargs.items())])


def _steps(step: Composed[Any, Any]) -> Iterable[Composed[Any, Any]]:
    """The steps of a chain that says nothing of its own; of anything else itself."""
    return step.tasks if isinstance(step, chain) and step.is_plain else (step,)
