"""Signatures: tasks with arguments that are not sent yet, and what they are composed to: chain, group and chord."""

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar, Unpack, overload

from polypool.canvas.shape import Bulk, Call, Chain, Chord, Group, Shape
from polypool.core.error import ConfigurationError, SendError
from polypool.core.manifest import TaskSpec
from polypool.core.running import Sendable
from polypool.group import GroupResult
from polypool.inline import run_here
from polypool.options import ComposeOptions, SendOptions, check_send_options, split_callbacks
from polypool.outlet import Outlet
from polypool.result import AsyncResult
from polypool.sending import Given, asend, call_of, send
from polypool.source import Source
from polypool.waiting import order_of

V = TypeVar("V")
"""What running it comes to."""
R = TypeVar("R")
"""What sending it returns."""
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
    def arguments(self) -> Any: ...
    @property
    def outlet(self) -> Outlet: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...


class Composed(Sendable, Generic[V, R]):
    """What can be sent as a workflow, and composed to larger ones: signatures, chains, groups and chords.

    `set`, `link` and `link_error` change it and return it. Composing takes copies, so that what is composed does not
    change with its parts. Methods that begin with `a` are the awaited twins of those that block.
    """

    __slots__ = ("_after", "_name", "_on_failure", "_on_success", "_options")

    def __init__(self) -> None:
        self._options: dict[str, Any] = {}
        self._name: str | None = None
        self._after: tuple[str, ...] = ()
        self._on_success: list[Composed[Any, Any]] = []
        self._on_failure: list[Composed[Any, Any]] = []

    def delay(self, *args: Any, **kwargs: Any) -> R:
        """Send it. Positional arguments go in front of those it has, keyword ones over them; of a workflow, to the
        steps that it begins with. Immutable ones take nothing."""
        return self._result(*send(self, self.outlet, args, kwargs, {}))

    async def adelay(self, *args: Any, **kwargs: Any) -> R:
        return self._result(*await asend(self, self.outlet, args, kwargs, {}))

    def apply_async(
        self, args: Iterable[Any] = (), kwargs: Mapping[str, Any] | None = None, **options: Unpack[SendOptions]
    ) -> R:
        """Send it with options that hold for this once, as `Task.apply_async`.

        Of a workflow they hold for every step that does not say otherwise; countdown and eta for those that it begins
        with, `task_id` for the whole.
        """
        return self._result(*send(self._with(options), self.outlet, tuple(args), kwargs or {}, {}))

    async def aapply_async(
        self, args: Iterable[Any] = (), kwargs: Mapping[str, Any] | None = None, **options: Unpack[SendOptions]
    ) -> R:
        return self._result(*await asend(self._with(options), self.outlet, tuple(args), kwargs or {}, {}))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it here and now, by plain function calls; a coroutine where one of its tasks is async. Callbacks are
        not called."""
        return run_here(self, args, kwargs)

    def set(self: "C", **options: Unpack[ComposeOptions]) -> "C":
        """Give it options of its own, over those of its task, and callbacks; it is changed, and returned.

        In a group, `name` is what other members wait for it by, and `after` the names of those that it waits for: their
        results come as keyword arguments.
        """
        given = dict(options)
        name, after = given.pop("name", None), given.pop("after", None)
        on_success, on_failure = split_callbacks(given)
        check_send_options(repr(self), given)
        if name is not None:
            self._name = _named(name)
        if after is not None:
            self._after = tuple(_named(one) for one in ([after] if isinstance(after, str) else after))  # type: ignore[attr-defined]
        for callback in on_success:
            self.link(callback)
        for callback in on_failure:
            self.link_error(callback)
        self._options.update(given)
        return self

    def link(self: "C", callback: "Composed[Any, Any]") -> "C":
        """Have this sent too once it has succeeded, with its result as first argument."""
        self._on_success.append(_part(callback, "a callback").clone())
        return self

    def link_error(self: "C", callback: "Composed[Any, Any]") -> "C":
        """Have this sent once it has failed, with a `FailedStep` as first argument that says what failed and how."""
        self._on_failure.append(_part(callback, "an error callback").clone())
        return self

    def __or__(self, other: "Composed[W, Any]") -> "chain[W]":
        if not isinstance(other, Composed):
            return NotImplemented
        return chain(self, other)

    def clone(self: "C") -> "C":
        """A copy that can be changed alone."""
        raise NotImplementedError

    @property
    def outlet(self) -> Outlet:
        """Of the app that it is sent through."""
        raise NotImplementedError

    def shape(self, given: Given) -> Shape:
        """It as a plain value, its arguments checked and encoded."""
        raise NotImplementedError

    def first_group(self) -> "group[Any] | None":
        """The group that it begins with, whose members need nothing of other steps."""
        return None

    def here(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Generator[Any, Any, Any]:
        """Its calls, one after the other: yields what each returns, and is sent its value."""
        raise NotImplementedError

    def is_async(self) -> bool:
        raise NotImplementedError

    def _with(self: "C", options: Mapping[str, Any]) -> "C":
        return self.clone().set(**options) if options else self

    def _result(self, id: str, count: int | None) -> R:
        raise NotImplementedError

    def _like(self, other: "C") -> "C":
        """Carry options and callbacks over to a copy."""
        copy: Any = self
        copy._options, copy._name, copy._after = dict(other._options), other._name, other._after
        copy._on_success, copy._on_failure = list(other._on_success), list(other._on_failure)
        return self  # type: ignore[return-value]

    def _callbacks(self, given: Given) -> dict[str, Any]:
        """The fields that every shape has."""
        behind = given.for_callbacks(self._options)
        return {
            "on_success": tuple(one.shape(behind) for one in self._on_success),
            "on_failure": tuple(one.shape(behind) for one in self._on_failure),
            "name": self._name,
            "after": self._after,
        }

    @property
    def own_options(self) -> Mapping[str, Any]:
        return self._options

    @property
    def has_callbacks(self) -> bool:
        return bool(self._on_success or self._on_failure)

    def _tail(self) -> str:
        """What `set` and `link` would be called with to make it what it is."""
        told = {**self._options}
        if self._name is not None:
            told["name"] = self._name
        if self._after:
            told["after"] = list(self._after)
        text = f".set({_told((), told)})" if told else ""
        text += "".join(f".link({one!r})" for one in self._on_success)
        return text + "".join(f".link_error({one!r})" for one in self._on_failure)


C = TypeVar("C", bound=Composed[Any, Any])


class Signature(Composed[V, AsyncResult[V]]):
    """A task with arguments, not yet sent. Made by `task.s(…)`, and by `task.si(…)` one that takes no more of them."""

    __slots__ = ("_args", "_immutable", "_kwargs", "_task", "each")

    def __init__(
        self, task: CanBeCalled, args: tuple[Any, ...], kwargs: Mapping[str, Any], immutable: bool = False
    ) -> None:
        super().__init__()
        self._task = task
        self._args = args
        self._kwargs = kwargs
        self._immutable = immutable
        self.each: Any = None

    @property
    def outlet(self) -> Outlet:
        return self._task.outlet

    def clone(self) -> "Signature[V]":
        copy: Signature[V] = Signature(self._task, self._args, dict(self._kwargs), self._immutable)
        copy.each = self.each
        return copy._like(self)

    def shape(self, given: Given) -> Call:
        if self._immutable:
            given = given.without_arguments()
        args, kwargs = (*given.args, *self._args), {**self._kwargs, **given.kwargs}
        names = () if self._immutable else self._after
        return call_of(self._task, (args, kwargs), given.inner(self._options, names), self._fields(given))

    def _fields(self, given: Given) -> dict[str, Any]:
        return {**self._callbacks(given), "is_immutable": self._immutable, "each": self.each}

    def here(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Generator[Any, Any, Any]:
        if self._immutable:
            args, kwargs = (), {}
        value = yield self._task(*args, *self._args, **{**self._kwargs, **kwargs})
        if isinstance(value, Composed):
            value = yield from value.here((), {})
        return value

    def is_async(self) -> bool:
        return self._task.is_async

    def _result(self, id: str, count: int | None) -> AsyncResult[V]:
        return AsyncResult(id, self.outlet)

    def __repr__(self) -> str:
        return f"{self._task.name}.{'si' if self._immutable else 's'}({_told(self._args, self._kwargs)}){self._tail()}"


class chain(Composed[V, AsyncResult[V]]):
    """One after the other, each with the result of the one before: `chain(a.s(1), b.s())`, or `a.s(1) | b.s()`."""

    __slots__ = ("_steps",)

    @overload
    def __init__(self, first: Iterable[Composed[Any, Any]], /) -> None: ...
    @overload
    def __init__(self, last: Composed[V, Any], /) -> None: ...
    @overload
    def __init__(self, first: Composed[Any, Any], last: Composed[V, Any], /) -> None: ...
    @overload
    def __init__(self, *steps: Composed[Any, Any]) -> None: ...
    def __init__(self, *steps: Any) -> None:
        super().__init__()
        self._steps = [step for part in _parts("a chain", steps) for step in _flat(part)]
        if not self._steps:
            raise ConfigurationError("a chain needs at least one step, as in chain(fetch.s(url), store.s())")
        _same_app("a chain", self._steps)

    @property
    def tasks(self) -> Sequence[Composed[Any, Any]]:
        """Its steps."""
        return tuple(self._steps)

    @property
    def outlet(self) -> Outlet:
        return self._steps[0].outlet

    def clone(self) -> "chain[V]":
        copy: chain[V] = chain.__new__(chain)
        copy._steps = [step.clone() for step in self._steps]
        return copy._like(self)

    def shape(self, given: Given) -> Shape:
        inner = given.inner(self._options, self._after)
        shapes: list[Shape] = []
        for index, step in enumerate(self._steps):
            try:
                shapes.append(step.shape(inner))
            except SendError as error:
                error.add_note(f"polypool: this was step {index + 1} of {len(self._steps)} of a chain")
                raise
            inner = inner.behind()
        return Chain(tuple(shapes), **self._callbacks(given))

    def first_group(self) -> "group[Any] | None":
        return self._steps[0].first_group()

    def here(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Generator[Any, Any, Any]:
        value = yield from self._steps[0].here(args, kwargs)
        for step in self._steps[1:]:
            value = yield from step.here((value,), {})
        return value

    def is_async(self) -> bool:
        return any(step.is_async() for step in self._steps)

    def _result(self, id: str, count: int | None) -> AsyncResult[V]:
        return AsyncResult(id, self.outlet)

    def __repr__(self) -> str:
        return f"chain({', '.join(map(repr, self._steps))}){self._tail()}"


class group(Composed[list[V], GroupResult[V]]):
    """Side by side: `group(a.s(1), b.s(2))`, or one iterable, which is read when the group is sent. Its result is the
    list of theirs. Before another step (`group(…) | merge.s()`) it is the header of a chord."""

    __slots__ = ("_source",)

    @overload
    def __init__(self, members: Iterable[Composed[V, Any]], /) -> None: ...
    @overload
    def __init__(self, *members: Composed[V, Any]) -> None: ...
    def __init__(self, *members: Any) -> None:
        super().__init__()
        self._source: Source[Composed[V, Any]] = Source(_parts("a group", members, reads_lazily=True))
        if self._source.is_listed:
            _check_group(self._source.listed())

    @property
    def tasks(self) -> Sequence[Composed[V, Any]]:
        """Its members; reads them all."""
        return tuple(self._source.listed())

    @property
    def outlet(self) -> Outlet:
        first = self._source.first()
        if first is None:
            raise ConfigurationError("a group needs at least one member, as in group(fetch.s(url) for url in urls)")
        return first.outlet

    def clone(self) -> "group[V]":
        copy: group[V] = group.__new__(group)
        copy._source = self._source.copied(lambda member: member.clone())
        return copy._like(self)

    @overload
    def __or__(self, other: "group[W]") -> "chain[list[W]]": ...
    @overload
    def __or__(self, other: Composed[W, Any]) -> "chord[W]": ...
    def __or__(self, other: Any) -> Any:
        if isinstance(other, group) or not isinstance(other, Composed):
            return super().__or__(other)
        return chord(self, other)

    def member(self, given: Given) -> Given:
        """What its members are given."""
        return given.inner(self._options, self._after)

    def shape(self, given: Given) -> Group | Bulk:
        if given.streamed is self:
            return given.bulk
        inner, shapes = self.member(given), []
        members = self._source.listed()
        _check_group(members)
        for index, member in enumerate(members):
            try:
                shapes.append(member.shape(inner))
            except SendError as error:
                error.add_note(f"polypool: this was member {index:,} of a group, counted from 0")
                raise
        return Group(tuple(shapes), **self._callbacks(given))

    def first_group(self) -> "group[Any] | None":
        return self

    @property
    def source(self) -> Source[Composed[V, Any]]:
        return self._source

    def here(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Generator[Any, Any, Any]:
        values: dict[int, Any] = {}
        members = self._source.listed()
        for index in _check_group(members):
            member = members[index]
            named = {members[other]._name: values[other] for other in _waited(members, member)}
            values[index] = yield from member.here(args, {**kwargs, **named})  # type: ignore[dict-item]
        return [values[index] for index in range(len(members))]

    def is_async(self) -> bool:
        return any(member.is_async() for member in self._source.listed())

    def _result(self, id: str, count: int | None) -> GroupResult[V]:
        return GroupResult(id, count or 0, self.outlet)

    def __repr__(self) -> str:
        return f"group({self._source!r}){self._tail()}"


class chord(Composed[V, AsyncResult[V]]):
    """A group, and a body that gets the list of its results once all are there: `chord(group(…), merge.s())`."""

    __slots__ = ("_body", "_header")

    @overload
    def __new__(cls, header: Any, body: Composed[W, Any]) -> "chord[W]": ...  # type: ignore[misc]
    @overload
    def __new__(cls, header: Any) -> "Header": ...  # type: ignore[misc]
    def __new__(cls, header: Any, body: Any = None) -> Any:
        return Header(_header(header)) if body is None else super().__new__(cls)

    def __init__(self, header: Any, body: Composed[V, Any]) -> None:
        super().__init__()
        self._header: group[Any] = _header(header)
        self._body: Composed[V, Any] = _part(body, "a chord's body").clone()

    @property
    def tasks(self) -> tuple["group[Any]", Composed[V, Any]]:
        """Its header and its body."""
        return self._header, self._body

    @property
    def outlet(self) -> Outlet:
        return self._body.outlet

    def clone(self) -> "chord[V]":
        copy: chord[V] = object.__new__(chord)
        copy._header, copy._body = self._header.clone(), self._body.clone()
        return copy._like(self)

    def shape(self, given: Given) -> Shape:
        inner = given.inner(self._options, self._after)
        header = self._header.shape(inner)
        try:
            body = self._body.shape(inner.behind())
        except SendError as error:
            error.add_note("polypool: this was the body of a chord, which gets the list of its members' results")
            raise
        return Chord(header, body, **self._callbacks(given))

    def first_group(self) -> "group[Any] | None":
        return self._header

    def here(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Generator[Any, Any, Any]:
        values = yield from self._header.here(args, kwargs)
        return (yield from self._body.here((values,), {}))

    def is_async(self) -> bool:
        return self._header.is_async() or self._body.is_async()

    def _result(self, id: str, count: int | None) -> AsyncResult[V]:
        return AsyncResult(id, self.outlet)

    def __repr__(self) -> str:
        return f"chord({self._header!r}, {self._body!r}){self._tail()}"


class Header:
    """A chord's header that still has no body: calling it with one sends the chord, as in Celery."""

    __slots__ = ("_group",)

    def __init__(self, header: group[Any]) -> None:
        self._group = header

    def __call__(self, body: Composed[W, Any]) -> AsyncResult[W]:
        return chord(self._group, body).delay()

    def __repr__(self) -> str:
        return f"chord({self._group!r})"


def _header(header: Any) -> group[Any]:
    if isinstance(header, group):
        return header.clone()
    if isinstance(header, Composed):
        return group(header)
    return group(header)


def _part(value: Any, where: str) -> Composed[Any, Any]:
    if isinstance(value, Composed):
        return value
    hint = f"; write {value.name}.s(…)" if hasattr(value, "delay") and hasattr(value, "name") else ""
    raise TypeError(f"{where} is composed of signatures, as task.s(…) makes them, not of {value!r}{hint}")


def _parts(where: str, given: tuple[Any, ...], reads_lazily: bool = False) -> Any:
    """The parts of a composition, from its arguments or from one iterable."""
    if len(given) == 1 and not isinstance(given[0], Composed):
        if not isinstance(given[0], Iterable):
            _part(given[0], where)
        if reads_lazily and not isinstance(given[0], Sequence):
            return (_part(one, where).clone() for one in given[0])
        given = tuple(given[0])
    return [_part(one, where).clone() for one in given]


def _flat(step: Composed[Any, Any]) -> Iterator[Composed[Any, Any]]:
    """The steps of a chain that is a plain list of them; else the step itself."""
    if isinstance(step, chain) and not step._options and not step.has_callbacks and not step._after:
        yield from step._steps
    else:
        yield step


def _same_app(where: str, parts: Sequence[Composed[Any, Any]]) -> None:
    return None


def _named(name: Any) -> str:
    if not isinstance(name, str) or not name.isidentifier():
        raise ConfigurationError(
            f"name={name!r}: a step is waited for by name, and its result becomes the argument of that name; "
            "choose one that an argument can have"
        )
    return name


def _waited(members: Sequence[Composed[Any, Any]], member: Composed[Any, Any]) -> list[int]:
    numbers = {one._name: number for number, one in enumerate(members)}
    return [numbers[name] for name in member._after]


def _check_group(members: Sequence[Composed[Any, Any]]) -> list[int]:
    """The order in which members that wait for each other can run. ConfigurationError where there is none."""
    return order_of([(member._name, member._after) for member in members])


def _told(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    return ", ".join([*map(repr, args), *(f"{name}={value!r}" for name, value in kwargs.items())])
