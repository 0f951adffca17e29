"""Shaping: a signature as a plain value. What a part of a workflow gets from around it, and a call's arguments and
options resolved, checked and encoded."""

from collections.abc import Mapping
from typing import Any, Literal, Protocol

import msgspec

from polypool.canvas.shape import Bulk, Call
from polypool.canvas.step import KEPT
from polypool.core.error import ConfigurationError
from polypool.core.manifest import TaskSpec
from polypool.options import Terms, standing_terms, terms_of

_START = ("countdown", "eta")
"""Options of a workflow that hold for the steps that it begins with."""


class Encodes(Protocol):
    """A task's parameters, as far as a signature needs them."""

    def encode(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], given: int = 0, names: tuple[str, ...] = ()
    ) -> bytes: ...
    def encode_each(self, items: list[Any], spreads: bool = False) -> bytes: ...


class Describes(Protocol):
    """A task, as far as a call of it needs it."""

    @property
    def name(self) -> str: ...
    @property
    def spec(self) -> TaskSpec: ...
    @property
    def arguments(self) -> Encodes: ...


class Streamed(Protocol):
    """The members of a group that are read while they are sent: `members` is which group's."""

    @property
    def members(self) -> Any: ...
    def begin(self, given: "Given") -> Bulk: ...


class Given(msgspec.Struct, frozen=True, gc=False):
    """What a part of a workflow gets from around it.

    `args` and `kwargs` are there already, `coming` positional ones and those of these `names` come from steps before
    it. `options` hold where it has none of its own. `is_step`: others may read its value. `waits`: steps come before.
    """

    now: float
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = {}
    options: Mapping[str, Any] = {}
    coming: int = 0
    names: tuple[str, ...] = ()
    is_step: bool = True
    waits: bool = False
    is_whole: bool = False
    """Nothing is around it: it is what is sent."""
    streamed: Streamed | None = None

    def inside(self, options: Mapping[str, Any], after: tuple[str, ...]) -> "Given":
        """What its parts get: its own options stand over those around it."""
        if not options and not after and not self.is_whole:
            return self
        return Given(
            self.now,
            self.args,
            self.kwargs,
            self.merged(options),
            self.coming,
            (*self.names, *after),
            self.is_step,
            self.waits or bool(after),
            streamed=self.streamed,
        )

    def without_arguments(self) -> "Given":
        """For an immutable one."""
        return msgspec.structs.replace(self, args=(), kwargs={}, coming=0, names=())

    def behind(self) -> "Given":
        """What the next step in a chain gets."""
        options = {name: value for name, value in self.options.items() if name not in _START}
        return Given(self.now, options=options, coming=1, waits=True)

    def for_callbacks(self, options: Mapping[str, Any]) -> "Given":
        """What callbacks get. They do not expire with what they tell of."""
        merged = self.merged(options)
        inherited = {"priority": merged["priority"]} if "priority" in merged else {}
        return Given(self.now, options=inherited, coming=1, waits=True)

    def merged(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """These options over those around it."""
        if "task_id" in options and not self.is_whole:
            raise ConfigurationError(
                f"task_id={options['task_id']!r} is set on a step of a workflow, and the ids of steps follow from the "
                "workflow's; give it to the workflow: chain(…).apply_async(task_id=…)"
            )
        return {**self.options, **options} if self.options else options


def call_of(task: Describes, args: tuple[Any, ...], kwargs: Mapping[str, Any], given: Given, **fields: Any) -> Call:
    """A call with these arguments. ArgumentError or NotEncodable names the parameter."""
    body = task.arguments.encode(args, kwargs, given=given.coming, names=given.names)
    return _call(task, body, given, fields)


def chunk_of(task: Describes, items: list[Any], each: Literal["item", "tuple"], given: Given, **fields: Any) -> Call:
    """A call for each of these items, or with each tuple's values."""
    return _call(task, task.arguments.encode_each(items, each == "tuple"), given, {**fields, "each": each})


def _call(task: Describes, body: bytes, given: Given, fields: dict[str, Any]) -> Call:
    options = {name: value for name, value in given.options.items() if name != "task_id"}
    terms: Terms = terms_of(task.spec, options) if options else standing_terms(task.spec)
    expires_in = terms.expires_in
    if terms.expires is not None:
        expires_in = max(terms.expires - given.now, 0.0)
    elif given.waits and "expires" not in options:
        expires_in = None  # the task's own counts from its sending, and nobody knows when the turn of this one comes
    policy = terms.policy
    if given.is_step and "result_ttl" not in options and policy.result_ttl < KEPT:
        policy = msgspec.structs.replace(policy, result_ttl=KEPT)
    return Call(
        task=task.name,
        args=body,
        queue=terms.queue,
        pool=terms.pool,
        priority=terms.priority,
        policy=policy,
        due=terms.due,
        countdown=terms.due_in or 0.0,
        expires_in=expires_in,
        charges=None if "each" in fields and task.spec.charges else task.spec.charges,
        **fields,
    )
