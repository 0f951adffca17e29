"""Drafts: a task's messages before they are sent, for one call, for each of many, for chunks of many."""

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol

from polypool.arguments.parameters import Parameters
from polypool.core.error import ConfigurationError, SendError
from polypool.core.ledger import Charge
from polypool.core.manifest import TaskSpec
from polypool.core.message import Message
from polypool.core.running import running
from polypool.options import Terms, standing_terms, terms_of
from polypool.outlet import Outlet
from polypool.sending.chunking import Chunks

Arguments = tuple[Any, ...]


class Addressed(Protocol):
    """A task, as far as writing messages to it needs it."""

    @property
    def name(self) -> str: ...
    @property
    def spec(self) -> TaskSpec: ...
    @property
    def outlet(self) -> Outlet: ...
    @property
    def arguments(self) -> Parameters: ...
    def charges(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Charge, ...]: ...


class Drafts:
    """Of one task. Arguments are checked and encoded here: ArgumentError or NotEncodable, naming the parameter."""

    __slots__ = ("_standing", "_task")

    def __init__(self, task: Addressed) -> None:
        self._task = task
        self._standing = standing_terms(task.spec)

    def message(self, args: Arguments, kwargs: Mapping[str, Any], terms: Terms, id: str | None = None) -> Message:
        """What is sent for one call; `id` None makes one."""
        body = self._task.arguments.encode(args, kwargs)
        charges = self._task.spec.charges
        return self._addressed(body, terms, id, self._task.charges(args, kwargs) if charges is None else charges)

    def message_of(self, args: Arguments, kwargs: Mapping[str, Any]) -> Message:
        """What is sent for one call without options."""
        return self.message(args, kwargs, self._standing)

    def message_with(
        self, args: Iterable[Any], kwargs: Mapping[str, Any] | None, options: Mapping[str, Any]
    ) -> Message:
        """What is sent for one call with options of its own."""
        terms = terms_of(self._task.spec, options)
        return self.message(positional(self._task.name, args), kwargs or {}, terms, options.get("task_id"))

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
        if not isinstance(args, tuple | list):
            raise TypeError(
                f"{self._task.name}: item {index:,}, {args!r:.100}, must be a tuple of arguments, as in "
                "starmap([(1, 2), (3, 4)]); map(items) sends each item as the only argument"
            )
        try:
            return self.message(args, kwargs, terms or self._standing, f"{base}-{index}")
        except SendError as error:
            error.add_note(f"polypool: this was item {index:,}, counted from 0")
            raise

    def chunks(
        self, items: Iterable[Any] | AsyncIterable[Any], n: int | None, spreads: bool, options: Mapping[str, Any]
    ) -> tuple[str, Chunks]:
        """The same for `n` items at a time, or as many as turn out to be half a second's work."""
        if n is None and options.get("task_id") is not None:
            raise ConfigurationError(
                f"{self._task.name}: task_id= makes sending again safe, and chunks whose size is found while they are "
                "sent would be cut otherwise the second time; give their size, as in chunks(items, 100, task_id=…)"
            )
        base, terms = self._group_terms(options)
        each: Literal["item", "tuple"] = "tuple" if spreads else "item"

        def message_of(index: int, args: bytes) -> Message:
            # What a chunk is charged depends on its items.
            return self._addressed(args, terms, f"{base}-{index}", () if self._task.spec.charges == () else None, each)

        return base, Chunks(self._task.name, self._task.arguments, items, n, spreads, message_of)

    def _addressed(
        self,
        args: bytes,
        terms: Terms,
        id: str | None,
        charges: tuple[Charge, ...] | None,
        each: Literal["item", "tuple"] | None = None,
    ) -> Message:
        outlet, sender = self._task.outlet, running.get()
        now = outlet.now()
        due = terms.due if terms.due_in is None else now + terms.due_in
        expires = terms.expires if terms.expires_in is None else now + terms.expires_in
        parent = root = None
        if sender is not None:
            parent = sender.message.id
            root = sender.message.root or parent
        return Message(
            id=outlet.new_id() if id is None else id,
            task=self._task.name,
            args=args,
            queue=terms.queue,
            pool=terms.pool,
            priority=terms.priority,
            sent_at=now,
            due=due,
            expires=expires,
            policy=terms.policy,
            parent=parent,
            root=root,
            each=each,
            charges=charges,
        )

    def _group_terms(self, options: Mapping[str, Any]) -> tuple[str, Terms]:
        terms = terms_of(self._task.spec, options) if options else self._standing
        return options.get("task_id") or self._task.outlet.new_id(), terms

    async def _amessages(self, tuples: AsyncIterable[Arguments], base: str, terms: Terms) -> AsyncIterator[Message]:
        index = 0
        async for args in tuples:
            yield self.numbered(index, args, {}, base, terms)
            index += 1


def positional(task: str, args: Iterable[Any]) -> Arguments:
    """Arguments given as one value, as a tuple. TypeError for what is surely a mistake."""
    if isinstance(args, str | bytes | Mapping):
        raise TypeError(f"{task}: args={args!r} must be a tuple of arguments, as in apply_async(({args!r},))")
    return tuple(args)
