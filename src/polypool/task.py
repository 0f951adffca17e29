"""Task: a named function and its policy. Calling it runs it here; `delay` and its kin send it to a worker."""

import functools
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, ParamSpec, TypeVar, Unpack

from polypool.arguments import Parameters
from polypool.bulk import asend_all, one_by_one, send_all
from polypool.core.error import SendError
from polypool.core.manifest import TaskSpec
from polypool.core.message import Message
from polypool.core.running import running
from polypool.group import GroupResult
from polypool.inside import TaskInside
from polypool.options import MapOptions, SendOptions, Terms, standing_terms, terms_of
from polypool.outlet import Outlet, asend, send
from polypool.progress_bar import meter_of
from polypool.result import AsyncResult

P = ParamSpec("P")
C = TypeVar("C")
"""What calling the function returns: a coroutine, for an async def."""
V = TypeVar("V")
"""What a run of it returns."""

Arguments = tuple[Any, ...]


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
    ) -> None:
        functools.update_wrapper(self, function)
        self.name = spec.name
        self.function = function
        self.spec = spec
        self.is_async = spec.is_async
        self.autoretry_for = autoretry_for
        self.bind = bind
        self._outlet = outlet
        self._standing = standing_terms(spec)

    @functools.cached_property
    def arguments(self) -> Parameters:
        """Read at the first send or run, when every class that annotations name has been defined."""
        return Parameters(self.name, self.function, skip=1 if self.bind else 0)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> C:
        """Run it here and now, as the plain function it is."""
        return self.function(self, *args, **kwargs) if self.bind else self.function(*args, **kwargs)

    def delay(self, *args: P.args, **kwargs: P.kwargs) -> AsyncResult[V]:
        """Send it with these arguments."""
        return self._sent(self.message_of(args, kwargs))

    async def adelay(self, *args: P.args, **kwargs: P.kwargs) -> AsyncResult[V]:
        return await self._asent(self.message_of(args, kwargs))

    def apply_async(
        self, args: Iterable[Any] = (), kwargs: Mapping[str, Any] | None = None, **options: Unpack[SendOptions]
    ) -> AsyncResult[V]:
        """Send it with options that hold for this once: countdown or eta, expires, queue, priority, task_id,
        max_retries, timeout, soft_timeout, result_ttl.

        DuplicateTask for a `task_id` that was sent before: so sending again after a doubtful failure is safe.
        """
        return self._sent(self.message_with(args, kwargs, options))

    async def aapply_async(
        self, args: Iterable[Any] = (), kwargs: Mapping[str, Any] | None = None, **options: Unpack[SendOptions]
    ) -> AsyncResult[V]:
        return await self._asent(self.message_with(args, kwargs, options))

    def map(
        self, items: Iterable[Any], *, progress: bool | None = None, **options: Unpack[MapOptions]
    ) -> GroupResult[V]:
        """Send it once for each item, as its only argument.

        Items are read lazily and sent in batches, so there may be millions. A bar shows on a terminal when that takes
        longer than a second; `progress` True or False says otherwise. Options hold for each task. With a `task_id`
        of your own, doing it again sends only what was not sent before.
        """
        return self._send_each(((item,) for item in items), items, progress, options)

    async def amap(
        self,
        items: Iterable[Any] | AsyncIterable[Any],
        *,
        progress: bool | None = None,
        **options: Unpack[MapOptions],
    ) -> GroupResult[V]:
        """As `map`; `items` may be an async iterable too."""
        return await self._asend_each(((item,) async for item in one_by_one(items)), items, progress, options)

    def starmap(
        self, tuples: Iterable[Arguments], *, progress: bool | None = None, **options: Unpack[MapOptions]
    ) -> GroupResult[V]:
        """Send it once for each tuple, with the tuple's values as its arguments. Otherwise as `map`."""
        return self._send_each(tuples, tuples, progress, options)

    async def astarmap(
        self,
        tuples: Iterable[Arguments] | AsyncIterable[Arguments],
        *,
        progress: bool | None = None,
        **options: Unpack[MapOptions],
    ) -> GroupResult[V]:
        """As `starmap`; `tuples` may be an async iterable too."""
        return await self._asend_each(one_by_one(tuples), tuples, progress, options)

    def using(self, connection: Any) -> TaskInside[P, V]:
        """This task, sent over a database connection of your own: inside the transaction that is open there.

        `task.using(session).delay(…)` is there for workers exactly when that transaction commits, and leaves no trace
        when it is rolled back. For psycopg, asyncpg, sqlite3, aiosqlite, SQLAlchemy and Django, to the database that
        is the app's broker: docs/transactions.md. TraitMissing, ConfigurationError.
        """
        return TaskInside(self, self._outlet, connection)

    def message(self, args: Arguments, kwargs: Mapping[str, Any], terms: Terms, id: str | None = None) -> Message:
        """What is sent for one call; `id` None makes one."""
        outlet, sender = self._outlet, running.get()
        now = outlet.now()
        due = terms.due if terms.due_in is None else now + terms.due_in
        expires = terms.expires if terms.expires_in is None else now + terms.expires_in
        parent = root = None
        if sender is not None:
            parent = sender.message.id
            root = sender.message.root or parent
        return Message(
            id=outlet.new_id() if id is None else id,
            task=self.name,
            args=self.arguments.encode(args, kwargs),
            queue=terms.queue,
            pool=terms.pool,
            priority=terms.priority,
            sent_at=now,
            due=due,
            expires=expires,
            policy=terms.policy,
            parent=parent,
            root=root,
        )

    def message_of(self, args: Arguments, kwargs: Mapping[str, Any]) -> Message:
        """What is sent for one call without options."""
        return self.message(args, kwargs, self._standing)

    def message_with(
        self, args: Iterable[Any], kwargs: Mapping[str, Any] | None, options: Mapping[str, Any]
    ) -> Message:
        """What is sent for one call with options of its own."""
        if isinstance(args, str | bytes | Mapping):
            raise TypeError(f"{self.name}: args={args!r} must be a tuple of arguments, as in apply_async(({args!r},))")
        terms = terms_of(self.spec, options)
        return self.message(tuple(args), kwargs or {}, terms, options.get("task_id"))

    def messages(self, tuples: Iterable[Arguments], options: Mapping[str, Any]) -> tuple[str, Iterator[Message]]:
        """A group's id, and what is sent for its members, made when read."""
        base, terms = self._group_terms(options)
        return base, (self.numbered(index, args, {}, base, terms) for index, args in enumerate(tuples))

    def amessages(
        self, tuples: AsyncIterable[Arguments], options: Mapping[str, Any]
    ) -> tuple[str, AsyncIterator[Message]]:
        base, terms = self._group_terms(options)
        return base, self._amessages(tuples, base, terms)

    def numbered(
        self, index: int, args: Arguments, kwargs: Mapping[str, Any], base: str, terms: Terms | None
    ) -> Message:
        """The message of a group's member; None takes the task's own terms."""
        try:
            return self.message(args, kwargs, terms or self._standing, f"{base}-{index}")
        except SendError as error:
            error.add_note(f"polypool: this was item {index:,}, counted from 0")
            raise

    def _sent(self, message: Message) -> AsyncResult[V]:
        send(self._outlet.line, message)
        return AsyncResult(message.id, self._outlet)

    async def _asent(self, message: Message) -> AsyncResult[V]:
        await asend(self._outlet.line, message)
        return AsyncResult(message.id, self._outlet)

    def _group_terms(self, options: Mapping[str, Any]) -> tuple[str, Terms]:
        terms = terms_of(self.spec, options) if options else self._standing
        return options.get("task_id") or self._outlet.new_id(), terms

    async def _amessages(self, tuples: AsyncIterable[Arguments], base: str, terms: Terms) -> AsyncIterator[Message]:
        index = 0
        async for args in tuples:
            yield self.numbered(index, args, {}, base, terms)
            index += 1

    def _send_each(
        self, tuples: Iterable[Arguments], items: object, progress: bool | None, options: Mapping[str, Any]
    ) -> GroupResult[V]:
        base, messages = self.messages(tuples, options)
        count = send_all(self._outlet.line, messages, meter_of(self.name, items, progress))
        return GroupResult(base, count, self._outlet)

    async def _asend_each(
        self,
        tuples: AsyncIterable[Arguments],
        items: object,
        progress: bool | None,
        options: Mapping[str, Any],
    ) -> GroupResult[V]:
        base, messages = self.amessages(tuples, options)
        count = await asend_all(self._outlet.line, messages, meter_of(self.name, items, progress))
        return GroupResult(base, count, self._outlet)

    def __repr__(self) -> str:
        return f"<Task {self.name}, {self.spec.pool}>"
