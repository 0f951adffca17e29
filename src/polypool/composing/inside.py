"""TaskInside: a task whose sends go into a transaction of the sender's own. Made by `task.using(connection)`."""

from collections.abc import AsyncIterable, Iterable, Mapping
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, Unpack

from polypool.composing.sending import Sends, inside_transaction
from polypool.conversation import ahold, hold
from polypool.core.message import Message
from polypool.core.port import Line
from polypool.option_names import CALLBACKS, MapOptions, SendOptions
from polypool.outlet import Outlet, asend, send
from polypool.progress_bar import meter_of
from polypool.results.group import GroupResult
from polypool.results.result import AsyncResult
from polypool.sending.bulk import asend_all, one_by_one, send_all
from polypool.sending.drafting import Drafts

P = ParamSpec("P")
V = TypeVar("V")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class HasDrafts(Protocol):
    """A task, as far as sending it needs it."""

    @property
    def name(self) -> str: ...
    @property
    def drafts(self) -> Drafts: ...
    def signature(self, args: Iterable[Any], kwargs: Mapping[str, Any] | None) -> Any: ...


class TaskInside(Generic[P, V]):
    """A task, sent inside the transaction that is open on a connection: what is sent exists exactly when that commits.

    Methods and arguments are the task's. On a connection that blocks use `delay`, `apply_async` and `map`, on one that
    is awaited their twins with an `a`. The results they return know nothing of the task before the commit: their status
    is "unknown", and waiting for one raises ResultUnknown at once.
    """

    __slots__ = ("_line", "_outlet", "_task")

    def __init__(self, task: HasDrafts, outlet: Outlet, connection: Any) -> None:
        self._task = task
        self._outlet = outlet
        self._line: Line = outlet.line_over(connection)

    def delay(self, *args: P.args, **kwargs: P.kwargs) -> AsyncResult[V]:
        """Send it with these arguments."""
        return self._sent(self._task.drafts.message_of(args, kwargs))

    async def adelay(self, *args: P.args, **kwargs: P.kwargs) -> AsyncResult[V]:
        return await self._asent(self._task.drafts.message_of(args, kwargs))

    def apply_async(
        self, args: Iterable[Any] = (), kwargs: Mapping[str, Any] | None = None, **options: Unpack[SendOptions]
    ) -> AsyncResult[V]:
        """Send it with options that hold for this once, as `Task.apply_async`."""
        if CALLBACKS & options.keys():
            signature = self._task.signature(args, kwargs).set(**options)
            workflow, putting = inside_transaction(signature, self._outlet, (), {})
            hold(self._line, putting)
            return AsyncResult(workflow.id, self._outlet)
        return self._sent(self._task.drafts.message_with(args, kwargs, options))

    async def aapply_async(
        self, args: Iterable[Any] = (), kwargs: Mapping[str, Any] | None = None, **options: Unpack[SendOptions]
    ) -> AsyncResult[V]:
        if CALLBACKS & options.keys():
            signature = self._task.signature(args, kwargs).set(**options)
            workflow, putting = inside_transaction(signature, self._outlet, (), {})
            await ahold(self._line, putting)
            return AsyncResult(workflow.id, self._outlet)
        return await self._asent(self._task.drafts.message_with(args, kwargs, options))

    def map(
        self, items: Iterable[Any], *, progress: bool | None = None, **options: Unpack[MapOptions]
    ) -> GroupResult[V]:
        """Send it once for each item, as `Task.map`; all of them or none."""
        base, messages = self._task.drafts.messages(((item,) for item in items), options)
        count = send_all(self._line, messages, meter_of(self._task.name, items, progress), _how_far)
        return GroupResult(base, count, self._outlet)

    async def amap(
        self,
        items: Iterable[Any] | AsyncIterable[Any],
        *,
        progress: bool | None = None,
        **options: Unpack[MapOptions],
    ) -> GroupResult[V]:
        """As `map`; `items` may be an async iterable too."""
        base, messages = self._task.drafts.amessages(((item,) async for item in one_by_one(items)), options)
        count = await asend_all(self._line, messages, meter_of(self._task.name, items, progress), _how_far)
        return GroupResult(base, count, self._outlet)

    def _sent(self, message: Message) -> AsyncResult[V]:
        send(self._line, message)
        return AsyncResult(message.id, self._outlet)

    async def _asent(self, message: Message) -> AsyncResult[V]:
        await asend(self._line, message)
        return AsyncResult(message.id, self._outlet)

    def __repr__(self) -> str:
        return f"<TaskInside {self._task.name}>"


class WorkflowInside(Generic[R]):
    """A workflow, sent inside the transaction that is open on a connection. Made by `signature.using(connection)`.

    All of its steps exist exactly when that commits. Otherwise as `TaskInside`.
    """

    __slots__ = ("_composed", "_line")

    def __init__(self, composed: "SendsInside[R]", connection: Any) -> None:
        self._composed = composed
        self._line: Line = composed.outlet.line_over(connection)

    def delay(self, *args: Any, **kwargs: Any) -> R:
        """Send it, as `delay` of the workflow."""
        return self._sent(self._composed, args, kwargs)

    async def adelay(self, *args: Any, **kwargs: Any) -> R:
        return await self._asent(self._composed, args, kwargs)

    def apply_async(
        self, args: Iterable[Any] = (), kwargs: Mapping[str, Any] | None = None, **options: Unpack[SendOptions]
    ) -> R:
        """Send it with options that hold for this once, as `apply_async` of the workflow."""
        return self._sent(self._composed.with_options(options), tuple(args), kwargs or {})

    async def aapply_async(
        self, args: Iterable[Any] = (), kwargs: Mapping[str, Any] | None = None, **options: Unpack[SendOptions]
    ) -> R:
        return await self._asent(self._composed.with_options(options), tuple(args), kwargs or {})

    def _sent(self, composed: "SendsInside[R]", args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> R:
        workflow, putting = inside_transaction(composed, composed.outlet, args, kwargs)
        hold(self._line, putting)
        return composed.result(workflow.id, workflow.count)

    async def _asent(self, composed: "SendsInside[R]", args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> R:
        workflow, putting = inside_transaction(composed, composed.outlet, args, kwargs)
        await ahold(self._line, putting)
        return composed.result(workflow.id, workflow.count)

    def __repr__(self) -> str:
        return f"<WorkflowInside {self._composed!r}>"


class SendsInside(Sends, Protocol[R_co]):
    """What was composed, as far as sending it here needs it."""

    @property
    def outlet(self) -> Outlet: ...
    def with_options(self, options: Mapping[str, Any]) -> "SendsInside[R_co]": ...
    def result(self, id: str, count: int | None) -> R_co: ...


def _how_far(sent: int) -> str:
    return f"polypool: the first {sent:,} stand in the transaction; roll it back, or they are kept with it"
