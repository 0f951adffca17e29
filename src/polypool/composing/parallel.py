"""Side by side: group and chord."""

from collections.abc import AsyncIterable, Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar, overload

from polypool.canvas.pace import Pace
from polypool.canvas.shape import Bulk, Chord, Group, Shape
from polypool.composing.composed import Composed, chain, part_of, parts_of
from polypool.composing.shaping import Given
from polypool.composing.signature import Signature
from polypool.composing.source import MOST_LISTED, TOO_MANY, Source
from polypool.composing.streaming import Lazy
from polypool.composing.waiting import order_of, refuse_outside
from polypool.core.error import ConfigurationError, SendError
from polypool.outlet import Outlet
from polypool.results.group import GroupResult
from polypool.results.result import AsyncResult
from polypool.sending.chunking import Sizes, check_items, check_size

V = TypeVar("V")
W = TypeVar("W")
T = TypeVar("T")

Headed = Composed[Any, Any] | Iterable[Composed[Any, Any]]
"""What a chord's header may be given as."""


class Maps(Protocol[T]):
    """A task, as far as groups of it need it."""

    @property
    def name(self) -> str: ...
    def s(self, *args: Any, **kwargs: Any) -> Signature[T]: ...
    def each(self, items: list[Any], spreads: bool = False) -> Signature[list[T]]: ...


class group(Composed[list[V], GroupResult[V]]):
    """Side by side: `group(a.s(1), b.s(2))`, or one iterable, which is read when the group is sent, once, and as it is
    sent if it is long. Its result is the list of theirs. Before another step it is the header of a chord."""

    __slots__ = ("pace", "source")

    @overload
    def __init__(self, members: Iterable[Composed[V, Any]], /) -> None: ...
    @overload
    def __init__(self, *members: Composed[V, Any]) -> None: ...
    def __init__(self, *members: Any) -> None:
        self.begin()
        if len(members) == 1:
            _refuse_async(members[0])
        self.pace: Pace | None = None
        """Of chunks whose size is found while they are sent."""
        parts = parts_of("a group", members)
        is_lazy = len(members) == 1 and isinstance(members[0], Iterator)
        self.source: Source[Composed[V, Any]] = Source(parts if is_lazy else list(parts))
        if not is_lazy:
            _order(self.source.listed())

    @staticmethod
    def map(task: "Maps[W]", items: Iterable[Any]) -> "group[W]":
        """The task once for each item, as its only argument; read as it is sent. Unsent, for a chord:
        `group.map(work, ids) | total.s()`."""
        _refuse_async(items)
        return group(task.s(item) for item in items)

    @staticmethod
    def starmap(task: "Maps[W]", tuples: Iterable[tuple[Any, ...]]) -> "group[W]":
        """The task once for each tuple, with the tuple's values as its arguments."""
        _refuse_async(tuples)
        return group(task.s(*values) for values in tuples)

    @staticmethod
    def chunks(task: "Maps[W]", items: Iterable[Any], n: int | None = None) -> "group[list[W]]":
        """The task for `n` items at a time, which a worker runs one after the other: a member's result is the list of
        theirs. Without `n` their size is found while they are sent, as in `Task.chunks`."""
        return _chunked(task, items, n, spreads=False)

    @staticmethod
    def starchunks(task: "Maps[W]", tuples: Iterable[tuple[Any, ...]], n: int | None = None) -> "group[list[W]]":
        """As `chunks`, each tuple's values being the arguments."""
        return _chunked(task, tuples, n, spreads=True)

    @overload
    def __or__(self, other: "group[W]") -> "chain[list[W]]": ...
    @overload
    def __or__(self, other: Composed[W, Any]) -> "chord[W]": ...
    def __or__(self, other: Any) -> Any:
        if isinstance(other, group):
            return chain(self, other)
        return chord(self, other)

    @property
    def tasks(self) -> Sequence[Composed[V, Any]]:
        """Its members; those of an iterator are read for it."""
        return tuple(self.source.listed())

    def outlets(self) -> Iterator[Outlet]:
        first = self.source.first()
        members = self.source.listed() if self.source.is_listed else [first] if first is not None else []
        return (outlet for member in members for outlet in member.outlets())

    def clone(self) -> "group[V]":
        copy: group[V] = group.__new__(group)
        copy.pace = self.pace
        copy.source = self.source.copied(lambda member: member.clone())
        return copy.like(self)

    def shape(self, given: Given) -> Group | Bulk:
        if given.streamed is not None and given.streamed.members is self:
            return given.streamed.begin(given)
        members, inner = self.source.listed(), self.inside(given)
        if len(members) > MOST_LISTED:
            raise ConfigurationError(TOO_MANY)
        _order(members)
        shapes = tuple(self.member_shape(member, index, inner) for index, member in enumerate(members))
        return Group(shapes, **self.fields(given))

    def inside(self, given: Given) -> Given:
        """What its members get."""
        return given.inside(self.options, self.waiting[1])

    def member_shape(self, member: Composed[V, Any], index: int, given: Given) -> Shape:
        try:
            return member.shape(given)
        except (SendError, ConfigurationError) as error:
            error.add_note(f"polypool: this was member {index:,} of a group, counted from 0")
            raise

    def first_group(self) -> Lazy | None:
        return self

    def here(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Generator[Any, Any, Any]:
        members = self.source.listed()
        values: dict[int, Any] = {}
        by_name: dict[str | None, Any] = {}
        for index in _order(members):
            name, after = members[index].waiting
            named = {other: by_name[other] for other in after}
            values[index] = by_name[name] = yield from members[index].here(args, {**kwargs, **named})
        return [values[index] for index in range(len(members))]

    def is_async(self) -> bool:
        return any(member.is_async() for member in self.source.listed())

    def result(self, id: str, count: int | None) -> GroupResult[V]:
        return GroupResult(id, count, self.outlet)

    def __repr__(self) -> str:
        return f"group({self.source!r}){self.tail()}"


class chord(Composed[V, AsyncResult[V]]):
    """A group, and a body that gets the list of its results once all are there: `chord(group(…), merge.s())`, or
    `group(…) | merge.s()`. `chord(header)(body)` composes and sends it."""

    __slots__ = ("body", "header")

    header: group[Any]
    body: Composed[V, Any]

    @overload
    def __new__(cls, header: Headed) -> "Header": ...  # type: ignore[misc]
    @overload
    def __new__(cls, header: Headed, body: Composed[W, Any]) -> "chord[W]": ...
    def __new__(cls, header: Any, body: Any = None) -> Any:
        if body is None:
            return Header(_header(header))
        made = super().__new__(cls)
        made.begin()
        made.header = _header(header)
        made.body = part_of("a chord's body", body).clone()
        refuse_outside(made.header, made.header.waiting, "the header of a chord")
        refuse_outside(made.body, made.body.waiting, "the body of a chord")
        return made

    def __or__(self, other: Composed[W, Any]) -> chain[W]:
        return chain(self, other)

    @property
    def tasks(self) -> Sequence[Composed[Any, Any]]:
        """Its header and its body."""
        return self.header, self.body

    def outlets(self) -> Iterator[Outlet]:
        return (outlet for part in self.tasks for outlet in part.outlets())

    def clone(self) -> "chord[V]":
        copy: chord[V] = object.__new__(chord)
        copy.header, copy.body = self.header.clone(), self.body.clone()
        return copy.like(self)

    def shape(self, given: Given) -> Shape:
        inner = given.inside(self.options, self.waiting[1])
        header = self.header.shape(inner)
        assert isinstance(header, Group | Bulk)
        try:
            body = self.body.shape(inner.behind())
        except (SendError, ConfigurationError) as error:
            error.add_note("polypool: this was the body of a chord, whose first argument is the list of results")
            raise
        return Chord(header, body, **self.fields(given))

    def first_group(self) -> Lazy | None:
        return self.header

    def here(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Generator[Any, Any, Any]:
        values = yield from self.header.here(args, kwargs)
        return (yield from self.body.here((values,), {}))

    def is_async(self) -> bool:
        return self.header.is_async() or self.body.is_async()

    def result(self, id: str, count: int | None) -> AsyncResult[V]:
        return AsyncResult(id, self.body.outlet)

    def __repr__(self) -> str:
        return f"chord({self.header!r}, {self.body!r}){self.tail()}"


class Header:
    """A chord's header that has no body yet. Calling it with one sends the chord, as in Celery."""

    __slots__ = ("_group",)

    def __init__(self, header: group[Any]) -> None:
        self._group = header

    def __call__(self, body: Composed[W, Any]) -> AsyncResult[W]:
        made: chord[W] = chord(self._group, body)
        return made.delay()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise AttributeError(
            f"{self!r} has no body yet, and so no {name!r}: chord(header, body) has, or group(…) | body"
        )

    def __repr__(self) -> str:
        return f"chord({self._group!r})"


def _header(header: Any) -> group[Any]:
    return header.clone() if isinstance(header, group) else group(header)


def _order(members: Sequence[Composed[Any, Any]]) -> list[int]:
    """In which order they can run. ConfigurationError."""
    return order_of([member.waiting for member in members])


def _refuse_async(given: object) -> None:
    if isinstance(given, AsyncIterable):
        raise TypeError("a group reads plain iterables; write group([one async for one in …]), or task.amap(…)")


def _chunked(task: Maps[W], items: Iterable[Any], n: int | None, spreads: bool) -> group[list[W]]:
    _refuse_async(items)
    check_items(task.name, items)
    check_size(task.name, n)
    sizes = Sizes(items, n)
    made: group[list[W]] = group(task.each(chunk, spreads) for chunk in sizes.cut(items))
    made.pace = sizes.pace
    return made
