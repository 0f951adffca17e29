"""Sending workflows: what they were composed to, compiled and put, in one atomic step where that is possible."""

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from polypool.canvas.compile import Compiled, Ground, compile
from polypool.canvas.shape import Bulk, Call, Shape
from polypool.canvas.step import KEPT
from polypool.core.ask import Put
from polypool.core.error import ConfigurationError, DuplicateTask
from polypool.core.running import running
from polypool.options import Terms, standing_terms, terms_of
from polypool.outlet import Conversation, Outlet

AT_ONCE = 2_000
"""Messages of a workflow that are sent in one atomic step."""
AT_ONCE_BYTES = 4 << 20

_START = ("countdown", "eta", "task_id")
"""Options of a workflow that hold for its beginning, or for the whole."""


class Given(msgspec.Struct, frozen=True):
    """What a part of a workflow gets from around it. `coming`: positional arguments that come from steps before, and
    `names` keyword ones; `args` and `kwargs` are there already. `is_step`: others may read its value."""

    now: float
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = {}
    options: Mapping[str, Any] = {}
    coming: int = 0
    names: tuple[str, ...] = ()
    is_step: bool = True
    waits: bool = False
    streamed: Any = None
    bulk: Bulk = Bulk("")

    def inner(self, options: Mapping[str, Any], after: tuple[str, ...]) -> "Given":
        """What its parts get, and its own arguments: its options stand over those around it."""
        merged = {**self.options, **options} if options else self.options
        names = (*self.names, *after) if after else self.names
        return msgspec.structs.replace(self, options=merged, names=names, waits=self.waits or bool(after))

    def behind(self) -> "Given":
        """What the next step gets."""
        options = {name: value for name, value in self.options.items() if name not in _START}
        return Given(self.now, options=options, coming=1, waits=True)

    def without_arguments(self) -> "Given":
        return msgspec.structs.replace(self, args=(), kwargs={}, coming=0, names=())

    def for_callbacks(self, options: Mapping[str, Any]) -> "Given":
        """What callbacks get. They do not expire with what they tell of."""
        merged = {**self.options, **options}
        return Given(
            self.now, options={"priority": merged["priority"]} if "priority" in merged else {}, coming=1, waits=True
        )


class Callable(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def spec(self) -> Any: ...
    @property
    def arguments(self) -> Any: ...


class Sends(Protocol):
    """A signature, or what was composed of them."""

    def shape(self, given: Given) -> Shape: ...
    def first_group(self) -> Any: ...
    @property
    def own_options(self) -> Mapping[str, Any]: ...
    @property
    def has_callbacks(self) -> bool: ...


def call_of(task: Callable, arguments: tuple[Any, Any], given: Given, fields: dict[str, Any]) -> Call:
    """A call with its options resolved, its arguments checked and encoded."""
    args, kwargs = arguments
    options = {name: value for name, value in given.options.items() if name != "task_id"}
    terms: Terms = terms_of(task.spec, options) if options else standing_terms(task.spec)
    expires_in = terms.expires_in
    if terms.expires is not None:
        expires_in = max(terms.expires - given.now, 0.0)
    elif given.waits and "expires" not in options:
        expires_in = None  # the task's own counts from its sending, and nobody knows when this one's turn comes
    policy = terms.policy
    if given.is_step and "result_ttl" not in options:
        policy = msgspec.structs.replace(policy, result_ttl=max(policy.result_ttl, KEPT))
    return Call(
        task=task.name,
        args=task.arguments.encode(args, kwargs, given=given.coming, names=given.names),
        queue=terms.queue,
        pool=terms.pool,
        priority=terms.priority,
        policy=policy,
        due=terms.due,
        countdown=terms.due_in or 0.0,
        expires_in=expires_in,
        **fields,
    )


class Prepared:
    """A workflow that is ready to be sent."""

    def __init__(
        self,
        composed: Sends,
        outlet: Outlet,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        options: Mapping[str, Any],
    ) -> None:
        options = {**composed.own_options, **options}
        task_id = options.get("task_id")
        self.id: str = task_id or outlet.new_id()
        self._is_new = task_id is None
        now, sender = outlet.now(), running.get()
        parent = sender.message.id if sender is not None else None
        self._root = (sender.message.root or parent) if sender is not None else None
        self.ground = Ground(now, options.get("priority", 0), None, parent, self._root)
        self._composed = composed
        self._group = composed.first_group()
        self._given = Given(now, args, kwargs, options, is_step=self._group is not None)
        self.count: int | None = None
        self.compiled = self._compile()

    def _compile(self) -> Compiled:
        given = self._given
        group = self._group
        if group is not None and not group.source.read(AT_ONCE):
            raise ConfigurationError("not yet")
        shape = self._composed.shape(msgspec.structs.replace(given, is_step=_is_workflow(self._composed)))
        if hasattr(shape, "members"):
            self.count = len(shape.members)
            if not self.count:
                raise ConfigurationError("a group needs at least one member; this one's iterable was empty")
        return compile(shape, self.id, self.ground)

    def opening(self) -> Conversation[None]:
        messages = self.compiled.messages
        accepted = yield Put(messages)
        if not all(accepted):
            raise DuplicateTask(
                f"a workflow with the id {self.id!r} was sent before; nothing was sent now. "
                f"app.result({self.id!r}) shows what became of it"
            )


def _is_workflow(composed: Any) -> bool:
    return composed.first_group() is not None or composed.has_callbacks or hasattr(composed, "tasks")


def send(
    composed: Sends, outlet: Outlet, args: tuple[Any, ...], kwargs: Mapping[str, Any], options: Mapping[str, Any]
) -> tuple[str, int | None]:
    """Send it; the id it got, and of a group how many members it has."""
    prepared = Prepared(composed, outlet, args, kwargs, options)
    outlet.hold(prepared.opening())
    return prepared.id, prepared.count


async def asend(
    composed: Sends, outlet: Outlet, args: tuple[Any, ...], kwargs: Mapping[str, Any], options: Mapping[str, Any]
) -> tuple[str, int | None]:
    prepared = Prepared(composed, outlet, args, kwargs, options)
    await outlet.ahold(prepared.opening())
    return prepared.id, prepared.count
