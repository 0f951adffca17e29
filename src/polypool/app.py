"""Polypool: the registry of an app's tasks, their defaults, and the broker they are sent to."""

import inspect
import itertools
import os
import types
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Callable,
    Coroutine,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from typing import Any, Concatenate, Literal, ParamSpec, Protocol, TypeVar, Unpack, overload

from polypool.blocking import ClientLine
from polypool.composing.composed import Composed
from polypool.composing.sending import replacement_of
from polypool.core.ask import Read
from polypool.core.error import ConfigurationError, TraitMissing
from polypool.core.inside import Inside
from polypool.core.manifest import Manifest
from polypool.core.message import Message
from polypool.core.outcome import Replaced
from polypool.core.port import Engine, Lifespan, Line, Middleware
from polypool.core.settings import usual_backend, without_password
from polypool.naming import is_same_place, task_name
from polypool.option_checks import yes_or_no
from polypool.option_names import Defaults, ManyOptions, TaskOptions
from polypool.options import check_task_options, defaults_of, spec_of, task_rules, terms_of
from polypool.outlet import Outlet
from polypool.progress_bar import meter_of
from polypool.results.group import GroupResult
from polypool.results.result import AsyncResult
from polypool.results.workflow import Workflow
from polypool.sending.bulk import apart, asend_all, one_by_one, send_all
from polypool.task import Task

P = ParamSpec("P")
R = TypeVar("R")
Y = TypeVar("Y")
S = TypeVar("S")
I = TypeVar("I", bound=Iterator[Any])  # noqa: E741
A = TypeVar("A", bound=AsyncIterator[Any])

Call = tuple[Task[..., Any, R], tuple[Any, ...]] | tuple[Task[..., Any, R], tuple[Any, ...], Mapping[str, Any]]

DEFAULT_BROKER = "sqlite:///polypool.db"


class Decorator(Protocol):
    """What `app.task(...)` with options returns."""

    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> Task[P, Coroutine[Any, Any, R], R]: ...
    @overload
    def __call__(self, function: Callable[P, Generator[Y, S, R]], /) -> Task[P, Generator[Y, S, R], R]: ...
    @overload
    def __call__(self, function: Callable[P, I], /) -> Task[P, I, Any]: ...
    @overload
    def __call__(self, function: Callable[P, A], /) -> Task[P, A, None]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Task[P, R, R]: ...


class BindingDecorator(Protocol):
    """What `app.task(bind=True)` returns: the function takes the task itself first."""

    @overload
    def __call__(
        self, function: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]], /
    ) -> Task[P, Coroutine[Any, Any, R], R]: ...
    @overload
    def __call__(
        self, function: Callable[Concatenate[Any, P], Generator[Y, S, R]], /
    ) -> Task[P, Generator[Y, S, R], R]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[Any, P], I], /) -> Task[P, I, Any]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[Any, P], A], /) -> Task[P, A, None]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[Any, P], R], /) -> Task[P, R, R]: ...


class Polypool:
    """An app: declare tasks with `@app.task`, send them from anywhere, run them with `polypool worker MODULE:app`.

    `broker` is an engine's URL (else POLYPOOL_BROKER, else sqlite:///polypool.db), or an engine itself. Nothing is
    opened before the first send. `backend` (else POLYPOOL_BACKEND) is the engine beside a broker that keeps no results
    itself, which is amqp://. `lifespan` is a context manager, async or not, around each worker child's life; what
    it yields is `current.state`. `middleware` are callables around every run. `defaults` hold for all tasks that do
    not say otherwise: queue, priority, timeout, soft_timeout, max_retries, retry_backoff, retry_backoff_max,
    retry_jitter, autoretry_for, expires, result_ttl, max_lost.
    """

    def __init__(
        self,
        name: str,
        broker: str | Engine | None = None,
        *,
        backend: str | None = None,
        lifespan: Lifespan | None = None,
        middleware: Iterable[Middleware] = (),
        **defaults: Unpack[Defaults],
    ) -> None:
        if not name:
            raise ConfigurationError('an app needs a name, as in Polypool("shop")')
        self.name = name
        self.broker = broker if broker is not None else os.environ.get("POLYPOOL_BROKER") or DEFAULT_BROKER
        self.backend = backend or (usual_backend(self.broker) if isinstance(self.broker, str) else None)
        self.lifespan = lifespan
        self.middleware: Sequence[Middleware] = tuple(middleware)
        self._defaults = defaults_of(f"Polypool({name!r})", defaults)
        self._tasks: dict[str, Task[..., Any, Any]] = {}
        self.tasks: Mapping[str, Task[..., Any, Any]] = types.MappingProxyType(self._tasks)
        self._client = ClientLine(self._make_engine, reopens=isinstance(self.broker, str))
        self._inside: Inside | None = None
        self.outlet = Outlet(self._client, self.tasks, self._line_over)

    @overload
    def task(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> Task[P, Coroutine[Any, Any, R], R]: ...
    @overload
    def task(self, function: Callable[P, Generator[Y, S, R]], /) -> Task[P, Generator[Y, S, R], R]: ...
    @overload
    def task(self, function: Callable[P, I], /) -> Task[P, I, Any]: ...
    @overload
    def task(self, function: Callable[P, A], /) -> Task[P, A, None]: ...
    @overload
    def task(self, function: Callable[P, R], /) -> Task[P, R, R]: ...
    @overload
    def task(self, /, *, bind: Literal[True], **options: Unpack[TaskOptions]) -> BindingDecorator: ...
    @overload
    def task(self, /, *, bind: Literal[False] = False, **options: Unpack[TaskOptions]) -> Decorator: ...
    def task(self, function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
        """Declare a task, bare (`@app.task`) or with options (`@app.task(pool="prefork", timeout=60)`).

        An async def runs in the asyncio pool, a def in threads, unless `pool` says otherwise; one that yields streams
        its items (docs/streaming.md). docs/tasks.md tells each option. UnknownOption and ConfigurationError are raised
        here, when the module is loaded.
        """
        check_task_options("@app.task", options)
        if function is not None:
            return self._declare(function, options)
        return lambda function: self._declare(function, options)

    def send_many(self, calls: Iterable[Call[R]], **options: Unpack[ManyOptions]) -> GroupResult[R]:
        """Send calls of any tasks as one group: (task, args) or (task, args, kwargs) each.

        Read lazily and sent in batches; `progress`, `max_pending` and options as in `Task.map`.
        """
        progress, most, each = apart(options)
        base = options.get("task_id") or self.outlet.new_id()
        messages = (_message(call, index, base, each) for index, call in enumerate(calls))
        meter = meter_of(f"to {self.name}", calls, progress)
        count = send_all(self.outlet.line, messages, meter, max_pending=most)
        return GroupResult(base, count, self.outlet)

    async def asend_many(
        self, calls: Iterable[Call[R]] | AsyncIterable[Call[R]], **options: Unpack[ManyOptions]
    ) -> GroupResult[R]:
        """As `send_many`; `calls` may be an async iterable too."""
        progress, most, each = apart(options)
        base = options.get("task_id") or self.outlet.new_id()
        index = itertools.count()
        messages = (_message(call, next(index), base, each) async for call in one_by_one(calls))
        meter = meter_of(f"to {self.name}", calls, progress)
        count = await asend_all(self.outlet.line, messages, meter, max_pending=most)
        return GroupResult(base, count, self.outlet)

    def result(self, id: str) -> AsyncResult[Any]:
        """A handle on a task that was sent before, here or elsewhere."""
        return AsyncResult(id, self.outlet)

    def group_result(self, id: str, count: int | None = None) -> GroupResult[Any]:
        """A handle on a group that was sent before: its id and how many tasks it has. The count may be left out for a
        group of a workflow."""
        return GroupResult(id, count, self.outlet)

    def workflow(self, id: str) -> Workflow:
        """A handle on a whole workflow that was sent before; its id is that of the result of its sending."""
        return Workflow(id, self.outlet)

    def manifest(self) -> Manifest:
        """The app as a worker needs to know it."""
        broker = self.broker if isinstance(self.broker, str) else "memory://"
        return Manifest(self.name, broker, tuple(task.spec for task in self._tasks.values()), self.backend)

    def use(self, line: Line) -> None:
        """From now on send through this line; a worker's child gives its uplink."""
        self.outlet.line = line

    def replacement(self, value: Any, message: Message) -> Replaced | None:
        """What is to be sent instead of a run's ending, where it returned a workflow."""
        return replacement_of(value, message, self.outlet) if isinstance(value, Composed) else None

    def open(self) -> None:
        """Connect to the broker now instead of at the first send, and make its tables where they are missing."""
        self.outlet.line.ask(Read([])).result()

    async def aopen(self) -> None:
        await self.outlet.line.ask(Read([]))

    def close(self) -> None:
        """Finish what was sent and close the broker's connection; the next send opens it again. A process that ends
        does this by itself."""
        self._client.close()

    def _line_over(self, connection: Any) -> Line:
        """For sends inside a transaction of the sender's own."""
        from polypool.brokers.callers.line import CallersLine, inside_of
        from polypool.brokers.callers.recognise import recognise

        if self._inside is None:
            self._inside = inside_of(self._make_engine())
        return CallersLine(self._inside, recognise(connection))

    def _make_engine(self) -> Engine:
        if not isinstance(self.broker, str):
            return self.broker
        from polypool.brokers.open import open_engine

        return open_engine(self.broker, backend=self.backend)

    def _declare(self, function: Callable[..., Any], given: Mapping[str, Any]) -> Task[..., Any, Any]:
        name = given.get("name") or task_name(function)
        is_async = _is_async(name, function)
        options = {**self._defaults, **given}
        bind = options.pop("bind", False)
        is_public = yes_or_no(name, "public", options.pop("public", False))
        rules = task_rules(name, options)
        rules.check(function, skip=1 if bind else 0)
        spec = spec_of(name, is_async, options, rules.fixed)
        if spec.priority:
            self._expect_priorities(name)
        known = self._tasks.get(name)
        if known is not None and not is_same_place(known.function, function):
            raise ConfigurationError(
                f"two functions are called {name}: {_place(known.function)} and {_place(function)}; "
                'give one of them another name: @app.task(name="…")'
            )
        errors = options.get("autoretry_for", ())
        task: Task[..., Any, Any] = Task(
            function, spec, self.outlet, (errors,) if isinstance(errors, type) else tuple(errors), bind, rules
        )
        task.is_public = is_public
        self._tasks[name] = task
        return task

    def _expect_priorities(self, name: str) -> None:
        from polypool.brokers.open import has_priorities

        if isinstance(self.broker, str) and not has_priorities(self.broker):
            raise TraitMissing(
                f"{name}: priority is given, and the queues of {without_password(self.broker)} have none: leave it "
                "out, or choose classic queues, which have: amqp://…?queue_type=classic"
            )

    def __repr__(self) -> str:
        return f"<Polypool {self.name}, {len(self._tasks)} tasks, {self.broker}>"


def _message(call: Call[Any], index: int, base: str, options: Mapping[str, Any]) -> Message:
    task, args, *rest = call
    terms = terms_of(task.spec, options) if options else None
    return task.drafts.numbered(index, args, rest[0] if rest else {}, base, terms)


def _is_async(name: str, function: Callable[..., Any]) -> bool:
    if isinstance(function, type):
        raise ConfigurationError(f"{name}: a task is a function, not {function!r}")
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def _place(function: Callable[..., Any]) -> str:
    code = getattr(function, "__code__", None)
    return repr(function) if code is None else f"{code.co_filename}:{code.co_firstlineno}"
