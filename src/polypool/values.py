"""Values: the results of many steps as one argument, read a page at a time while the task goes through them."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, Protocol, TypeVar, overload

from polypool.conversation import Conversation, ahold, hold
from polypool.core.error import EngineUnreachable, InputMissing
from polypool.core.gather import WINDOW, Unread, read_listed, read_values
from polypool.core.join import Listed, Many
from polypool.core.port import Answer, Line

V = TypeVar("V")
T = TypeVar("T")

KEPT = 3
"""Pages of the latest use that stay in memory; one more is on its way."""
PATIENCE = 60.0
"""Seconds for which a page is tried for while the engine is away: the run has begun, and would begin anew."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0

Decode = Callable[[bytes], Any]


class Values(Sequence[V]):
    """The results of the steps that a task waited for, in order: a sequence of which only a few pages are in memory.

    A task gets it instead of a list where there are more than 1,000, or always for a parameter annotated so:
    `def total(parts: Values[int])`. It has a length, an index, slices (which are Values again) and `for`; in an
    `async def` use `async for` and `await values.aget(index)`. A list is made of it by `list(values)`.
    `Values([1, 2, 3])` is one for calling such a function yourself, as in a test.

    EngineUnreachable when the engine stays away for a minute; InputMissing for a result that is no longer kept.
    """

    __slots__ = ("_indexes", "_source")

    def __init__(self, values: Iterable[V] = ()) -> None:
        self._source: _Source[V] = _Listed(list(values))
        self._indexes = range(self._source.count)

    @classmethod
    def read_through(cls, line: Line, ref: Many | Listed, decode: Decode) -> "Values[Any]":
        """Those that a reference means, each read through this line when it is used and decoded so."""
        return cls._over(_Stored(line, ref, decode))

    @classmethod
    def _over(cls, source: "_Source[V]", indexes: range | None = None) -> "Values[V]":
        made: Values[V] = cls.__new__(cls)
        made._source = source
        made._indexes = range(source.count) if indexes is None else indexes
        return made

    def __len__(self) -> int:
        return len(self._indexes)

    @overload
    def __getitem__(self, index: int) -> V: ...
    @overload
    def __getitem__(self, index: slice) -> "Values[V]": ...
    def __getitem__(self, index: int | slice) -> "V | Values[V]":
        if isinstance(index, slice):
            return self._over(self._source, self._indexes[index])
        number, place = divmod(self._indexes[index], WINDOW)
        return self._source.page(number, "await values.aget(index)")[place]

    async def aget(self, index: int) -> V:
        """The value at this index."""
        number, place = divmod(self._indexes[index], WINDOW)
        return (await self._source.apage(number))[place]

    def __iter__(self) -> Iterator[V]:
        for number, places in self._spans():
            page = self._source.page(number, "async for value in values")
            for place in places:
                yield page[place]

    async def __aiter__(self) -> AsyncIterator[V]:
        for number, places in self._spans():
            page = await self._source.apage(number)
            for place in places:
                yield page[place]

    def _spans(self) -> Iterator[tuple[int, range]]:
        """Pages in the order of use, and which places of each."""
        position, step = 0, self._indexes.step
        while position < len(self._indexes):
            number, place = divmod(self._indexes[position], WINDOW)
            left = WINDOW - place if step > 0 else place + 1
            stop = min(position - (-left // abs(step)), len(self._indexes))
            first, last = self._indexes[position], self._indexes[stop - 1]
            begin = number * WINDOW
            yield number, range(first - begin, last - begin + (1 if step > 0 else -1), step)
            position = stop

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Values) and other._source is self._source and other._indexes == self._indexes

    def __hash__(self) -> int:
        return hash((id(self._source), self._indexes))

    def __repr__(self) -> str:
        return f"<Values, {len(self):,}>"


class _Source(Protocol[V]):
    """Where values come from, in pages of WINDOW."""

    @property
    def count(self) -> int: ...
    def page(self, number: int, instead: str) -> list[V]:
        """Blocking; inside a running event loop an error that says what to write `instead`."""

    async def apage(self, number: int) -> list[V]: ...


class _Listed(Generic[V]):
    """All in memory."""

    def __init__(self, values: list[V]) -> None:
        self.count = len(values)
        self._values = values

    def page(self, number: int, instead: str) -> list[V]:
        return self._values[number * WINDOW : (number + 1) * WINDOW]

    async def apage(self, number: int) -> list[V]:
        return self.page(number, "")


class _Stored:
    """In the steps' records. While one page is used the next one is on its way."""

    def __init__(self, line: Line, ref: Many | Listed, decode: Decode) -> None:
        self.count = count_of(ref)
        self._line = line
        self._ref = ref
        self._decode = decode
        self._pages: OrderedDict[int, list[Any]] = OrderedDict()
        self._coming: dict[int, tuple[Conversation[list[bytes]], Answer | None]] = {}

    def page(self, number: int, instead: str) -> list[Any]:
        if _has_loop():
            raise RuntimeError(
                f"these {self.count:,} values are read from the engine as they are used, and waiting for them here "
                f"would stop the event loop: write `{instead}` in an async def (annotate the parameter as Values[…] "
                "to get Values for few values too), or make the task a plain `def`"
            )
        found = self._pages.get(number)
        return found if found is not None else self._kept(number, self._hold(number))

    async def apage(self, number: int) -> list[Any]:
        found = self._pages.get(number)
        return found if found is not None else self._kept(number, await self._ahold(number))

    def _hold(self, number: int) -> list[bytes]:
        for pause in _pauses():
            try:
                asking, answer = self._begun(number)
                return hold(self._line, asking, answer)
            except EngineUnreachable:
                if pause is None:
                    raise
                time.sleep(pause)
        raise AssertionError

    async def _ahold(self, number: int) -> list[bytes]:
        for pause in _pauses():
            try:
                asking, answer = self._begun(number)
                return await ahold(self._line, asking, answer)
            except EngineUnreachable:
                if pause is None:
                    raise
                await asyncio.sleep(pause)
        raise AssertionError

    def _begun(self, number: int) -> tuple[Conversation[list[bytes]], Answer | None]:
        """The reading of a page, and the answer to its first ask where that is on its way; the next page's too."""
        begun = self._coming.pop(number, None) or self._begin(number)
        self._coming.clear()
        if (number + 1) * WINDOW < self.count and number + 1 not in self._pages:
            self._coming[number + 1] = self._begin(number + 1)
        return begun

    def _begin(self, number: int) -> tuple[Conversation[list[bytes]], Answer | None]:
        asking = self._asking(number * WINDOW)
        # Only of these it is certain that there is something to ask.
        return asking, self._line.ask(next(asking)) if isinstance(self._ref, Many) else None

    def _asking(self, start: int) -> Conversation[list[bytes]]:
        ref = self._ref
        try:
            if isinstance(ref, Many):
                return (yield from read_values(ref.ids(start, start + WINDOW)))
            return (yield from read_listed(ref.refs[start : start + WINDOW]))
        except Unread as unread:
            raise missing(unread) from None

    def _kept(self, number: int, page: list[bytes]) -> list[Any]:
        decode = self._decode
        values = self._pages[number] = [decode(value) for value in page]
        while len(self._pages) > KEPT:
            self._pages.popitem(last=False)
        return values


def count_of(ref: Many | Listed) -> int:
    return ref.count if isinstance(ref, Many) else len(ref.refs)


def missing(unread: Unread) -> InputMissing:
    """The error for a step's result that cannot be had."""
    id, record = unread.id, unread.record
    if record is None:
        return InputMissing(
            f"the result of step {id}, which this one takes, is no longer kept: its time to live (result_ttl) was over "
            "or it was purged before this step ran. Send the workflow again, and give that task a longer result_ttl"
        )
    return InputMissing(
        f"step {id} ({record.task}), whose result this one takes, is {record.state} and has none: it was changed "
        "by hand or this step was sent again alone. Run that step again first, or the whole workflow"
    )


def _pauses() -> Iterator[float | None]:
    """How long to wait after each try; None where there is no other."""
    pause, ends = _FIRST_PAUSE, time.monotonic() + PATIENCE
    while time.monotonic() < ends:
        yield pause
        pause = min(2 * pause, _LONGEST_PAUSE)
    yield None


def _has_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
