"""Task: a named function and its policy. Calling it runs it here; `delay` and its kin send it to a worker."""

import functools
import inspect
from collections.abc import AsyncIterable, Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, ParamSpec, TypeVar, Unpack

from polypool.arguments.parameters import Parameters
from polypool.composing.inside import TaskInside
from polypool.composing.signature import Signature
from polypool.core.ledger import Charge
from polypool.core.manifest import TaskSpec
from polypool.core.message import Message
from polypool.limits.rule import Rules, together
from polypool.option_names import CALLBACKS, ComposeOptions, ManyOptions, SendOptions
from polypool.outlet import Outlet, asend, send
from polypool.progress_bar import meter_of
from polypool.results.group import GroupResult
from polypool.results.result import AsyncResult
from polypool.sending.bulk import apart, asend_all, one_by_one, send_all
from polypool.sending.chunking import asend_chunks, send_chunks
from polypool.sending.drafting import Arguments, Drafts, positional

P = ParamSpec("P")
C = TypeVar("C")
"""What calling the function returns: a coroutine, for an async def."""
V = TypeVar("V")
"""What a run of it returns."""


class Task(Generic[P, C, V]):
    """A function that can be sent. Made by `@app.task`.

    Methods that begin with `a` are the awaited twins of those that block. All that send return once the message is
    durable, and raise ArgumentError or NotEncodable, naming the parameter, for what the function would not take.
    """

    def __init__(
        self,
        function: Callable[..., C],
        spec: TaskSpec,
        outlet: Outlet,
        autoretry_for: tuple[type[BaseException], ...] = (),
        bind: bool = False,
        rules: Rules | None = None,
    ) -> None:
        functools.update_wrapper(self, function)
        self.name = spec.name
        self.function = function
        self.spec = spec
        self.is_async = spec.is_async
        self.streams = inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)
        self.autoretry_for = autoretry_for
        self.bind = bind
        self.is_public = False
        """Whether it can be sent, and its results read, through `polypool web`."""
        self.outlet = outlet
        self.rules = rules or Rules(spec.name)
        self.drafts = Drafts(self)
        """Its messages, before they are sent."""

    @functools.cached_property
    def arguments(self) -> Parameters:
        """Read at the first send or run, when every class that annotations name has been defined."""
        return Parameters(self.name, self.function, skip=1 if self.bind else 0)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> C:
        """Run it here and now, as the plain function it is. Of a generator: the generator, to be iterated."""
        return self.function(self, *args, **kwargs) if self.bind else self.function(*args, **kwargs)

    def delay(self, *args: P.args, **kwargs: P.kwargs) -> AsyncResult[V]:
        """Send it with these arguments."""
        return self._sent(self.drafts.message_of(args, kwargs))

    async def adelay(self, *args: P.args, **kwargs: P.kwargs) -> AsyncResult[V]:
        return await self._asent(self.drafts.message_of(args, kwargs))

    def s(self, *args: Any, **kwargs: Any) -> Signature[V]:
        """It with these arguments, not sent yet: to be composed with others, to be given options, to be sent. What
        comes from a step before it goes in front of them."""
        return Signature(self, args, kwargs)

    def si(self, *args: P.args, **kwargs: P.kwargs) -> Signature[V]:
        """As `s`, but immutable: it takes nothing from the steps before it."""
        return Signature(self, args, kwargs, immutable=True)

    def each(self, items: list[Any], spreads: bool = False) -> Signature[list[V]]:
        """A chunk, not sent yet: it for each of these items, one after the other, with the item as its only argument or
        (`spreads`) the values of the tuple that it is."""
        return Signature(self, (items,), {}, immutable=True, each="tuple" if spreads else "item")

    def signature(
        self,
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        immutable: bool = False,
        **options: Unpack[ComposeOptions],
    ) -> Signature[V]:
        """As `s` or `si`, with options: `task.signature((1,), queue="slow")` is `task.s(1).set(queue="slow")`."""
        made: Signature[V] = Signature(self, positional(self.name, args), kwargs or {}, immutable)
        return made.set(**options)

    def apply_async(
        self, args: Iterable[Any] = (), kwargs: Mapping[str, Any] | None = None, **options: Unpack[SendOptions]
    ) -> AsyncResult[V]:
        """Send it with options that hold for this once: countdown or eta, expires, queue, priority, task_id,
        max_retries, timeout, soft_timeout, result_ttl; and with callbacks, on_success (or link) and on_failure (or
        link_error): signatures that are sent when it has ended, with its result or a `FailedStep` as first argument.

        DuplicateTask for a `task_id` that was sent before: so sending again after a doubtful failure is safe.
        """
        if CALLBACKS & options.keys():
            return self.signature(args, kwargs).apply_async(**options)
        return self._sent(self.drafts.message_with(args, kwargs, options))

    async def aapply_async(
        self, args: Iterable[Any] = (), kwargs: Mapping[str, Any] | None = None, **options: Unpack[SendOptions]
    ) -> AsyncResult[V]:
        if CALLBACKS & options.keys():
            return await self.signature(args, kwargs).aapply_async(**options)
        return await self._asent(self.drafts.message_with(args, kwargs, options))

    def map(self, items: Iterable[Any], **options: Unpack[ManyOptions]) -> GroupResult[V]:
        """Send it once for each item, as its only argument.

        Items are read lazily and sent in batches, so there may be millions. A bar shows on a terminal when that takes
        longer than a second; `progress` True or False says otherwise. Options hold for each task. With a `task_id`
        of your own, doing it again sends only what was not sent before.

        With `max_pending` there are never more than so many of these tasks that have not ended: the call waits for
        workers, and returns once the last is sent. Without a worker that is for ever; Ctrl-C says how far it came.
        """
        if isinstance(items, AsyncIterable):
            raise TypeError(f"{self.name}: async iterables are sent by the twins that are awaited, as `amap`")
        return self._send_each(((item,) for item in items), items, options)

    async def amap(self, items: Iterable[Any] | AsyncIterable[Any], **options: Unpack[ManyOptions]) -> GroupResult[V]:
        """As `map`; `items` may be an async iterable too."""
        tuples = ((item,) async for item in one_by_one(items))
        return await self._asend_each(tuples, items, options)

    def starmap(self, tuples: Iterable[Arguments], **options: Unpack[ManyOptions]) -> GroupResult[V]:
        """Send it once for each tuple, with the tuple's values as its arguments. Otherwise as `map`."""
        if isinstance(tuples, AsyncIterable):
            raise TypeError(f"{self.name}: async iterables are sent by the twins that are awaited, as `astarmap`")
        return self._send_each(tuples, tuples, options)

    async def astarmap(
        self, tuples: Iterable[Arguments] | AsyncIterable[Arguments], **options: Unpack[ManyOptions]
    ) -> GroupResult[V]:
        """As `starmap`; `tuples` may be an async iterable too."""
        return await self._asend_each(one_by_one(tuples), tuples, options)

    def chunks(
        self, items: Iterable[Any], n: int | None = None, **options: Unpack[ManyOptions]
    ) -> GroupResult[list[V]]:
        """Send it once for every `n` items: a worker runs it for one after the other and returns the list of results.

        For work so small that a message each would cost more. `itertools.chain.from_iterable(group)` has the single
        results, in order. One that fails fails its chunk. Options hold for each chunk, a `timeout` too.

        Without `n` the size is found while it goes: chunks of about half a second, from the time that the first ones
        took, smaller ones towards the end of a collection whose length is known. The call then stays about five
        seconds of work ahead of the workers; where none runs it goes on with 30 items a chunk. Otherwise as `map`.
        """
        return self._send_chunks(items, n, False, options)

    async def achunks(
        self, items: Iterable[Any] | AsyncIterable[Any], n: int | None = None, **options: Unpack[ManyOptions]
    ) -> GroupResult[list[V]]:
        """As `chunks`; `items` may be an async iterable too."""
        return await self._asend_chunks(items, n, False, options)

    def starchunks(
        self, tuples: Iterable[Arguments], n: int | None = None, **options: Unpack[ManyOptions]
    ) -> GroupResult[list[V]]:
        """As `chunks`, with each tuple's values as the arguments: to `chunks` what `starmap` is to `map`."""
        return self._send_chunks(tuples, n, True, options)

    async def astarchunks(
        self,
        tuples: Iterable[Arguments] | AsyncIterable[Arguments],
        n: int | None = None,
        **options: Unpack[ManyOptions],
    ) -> GroupResult[list[V]]:
        """As `starchunks`; `tuples` may be an async iterable too."""
        return await self._asend_chunks(tuples, n, True, options)

    def using(self, connection: Any) -> TaskInside[P, V]:
        """This task, sent over a database connection of your own: inside the transaction that is open there.

        `task.using(session).delay(…)` is there for workers exactly when that transaction commits, and leaves no trace
        when it is rolled back. For psycopg, asyncpg, sqlite3, aiosqlite, SQLAlchemy and Django, to the database that
        is the app's broker: docs/transactions.md. TraitMissing, ConfigurationError.
        """
        return TaskInside(self, self.outlet, connection)

    def charges(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Charge, ...]:
        """What its limits charge a run with these arguments."""
        return self.rules.charges(args, kwargs, lambda: self.arguments.named(args, kwargs))

    def charges_of_each(self, items: Sequence[Any], spreads: bool) -> tuple[Charge, ...]:
        """What its limits charge a chunk of these items."""
        return together(self.charges(item if spreads else (item,), {}) for item in items)

    def _sent(self, message: Message) -> AsyncResult[V]:
        send(self.outlet.line, message)
        return AsyncResult(message.id, self.outlet)

    async def _asent(self, message: Message) -> AsyncResult[V]:
        await asend(self.outlet.line, message)
        return AsyncResult(message.id, self.outlet)

    def _send_each(self, tuples: Iterable[Arguments], items: object, options: Mapping[str, Any]) -> GroupResult[V]:
        progress, most, options = apart(options)
        base, messages = self.drafts.messages(tuples, options)
        meter = meter_of(self.name, items, progress)
        return GroupResult(base, send_all(self.outlet.line, messages, meter, max_pending=most), self.outlet)

    async def _asend_each(
        self, tuples: AsyncIterable[Arguments], items: object, options: Mapping[str, Any]
    ) -> GroupResult[V]:
        progress, most, options = apart(options)
        base, messages = self.drafts.amessages(tuples, options)
        meter = meter_of(self.name, items, progress)
        count = await asend_all(self.outlet.line, messages, meter, max_pending=most)
        return GroupResult(base, count, self.outlet)

    def _send_chunks(
        self, items: Iterable[Any], n: int | None, spreads: bool, options: Mapping[str, Any]
    ) -> GroupResult[list[V]]:
        progress, most, options = apart(options)
        base, chunks = self.drafts.chunks(items, n, spreads, options)
        count = send_chunks(self.outlet.line, chunks, meter_of(self.name, items, progress), most)
        return GroupResult(base, count, self.outlet)

    async def _asend_chunks(
        self, items: Iterable[Any] | AsyncIterable[Any], n: int | None, spreads: bool, options: Mapping[str, Any]
    ) -> GroupResult[list[V]]:
        progress, most, options = apart(options)
        base, chunks = self.drafts.chunks(items, n, spreads, options)
        count = await asend_chunks(self.outlet.line, chunks, meter_of(self.name, items, progress), most)
        return GroupResult(base, count, self.outlet)

    def __repr__(self) -> str:
        return f"<Task {self.name}, {self.spec.pool}>"
