"""What was sent, for a test to look at; and `captured`, under which nothing else happens to it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any, overload

from polypool.app import Polypool
from polypool.brokers.memory import MemoryEngine
from polypool.core.ask import Ask, Await, Follow, Put
from polypool.core.codec import decode_any
from polypool.core.event import Page
from polypool.core.message import Message
from polypool.core.port import Engine
from polypool.task import Task
from polypool.testing.inside import line_over
from polypool.testing.stepping import Done, answered_at_once


@dataclass(frozen=True)
class Sent:
    """One send, as a person would tell it. Times in seconds; `eta` is Unix time."""

    task: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    id: str = ""
    queue: str = "default"
    pool: str = "threads"
    priority: int = 0
    countdown: float | None = None
    eta: float | None = None
    expires: float | None = None
    """Seconds from sending."""
    max_retries: int = 3
    timeout: float | None = None
    soft_timeout: float | None = None
    parent: str | None = None
    """The task that sent it, if a task did."""
    message: Message | None = field(default=None, repr=False, compare=False)
    """All of it."""

    def __str__(self) -> str:
        told = [*map(repr, self.args), *(f"{name}={value!r}" for name, value in self.kwargs.items())]
        options = {
            one.name: getattr(self, one.name)
            for one in fields(self)[4:-1]
            if getattr(self, one.name) != one.default and one.name != "parent"
        }
        return " ".join([f"{self.task}({', '.join(told)})", *(f"{name}={value}" for name, value in options.items())])


def sent_of(message: Message, tasks: Mapping[str, Task[..., Any, Any]]) -> Sent:
    """Read a message back, its arguments typed as the task will get them."""
    args, kwargs = _arguments(message, tasks)
    policy = message.policy
    return Sent(
        task=message.task,
        args=tuple(args),
        kwargs=kwargs,
        id=message.id,
        queue=message.queue,
        pool=message.pool,
        priority=message.priority,
        countdown=None if message.due is None else round(message.due - message.sent_at, 6),
        eta=message.due,
        expires=None if message.expires is None else round(message.expires - message.sent_at, 6),
        max_retries=policy.max_retries,
        timeout=policy.timeout,
        soft_timeout=policy.soft_timeout,
        parent=message.parent,
        message=message,
    )


def _arguments(message: Message, tasks: Mapping[str, Task[..., Any, Any]]) -> tuple[Sequence[Any], dict[str, Any]]:
    """Of a step that gets more of them from the steps before it, and of a chunk: those it has, as plain values."""
    if message.each is not None or (message.flow is not None and message.flow.inputs):
        args, kwargs = decode_any(message.args)
        return args, kwargs
    return tasks[message.task].arguments.decode(message.args)


class Captured(Sequence[Sent]):
    """All that was sent, in order; one entry a task. Of a workflow, the steps that only gather results are left out."""

    def __init__(self, tasks: Mapping[str, Task[..., Any, Any]]) -> None:
        self._tasks = tasks
        self._sent: list[Sent] = []

    def add(self, messages: Sequence[Message]) -> None:
        in_turn = sorted(messages, key=lambda message: message.is_waiting)  # as they will run
        self._sent.extend(
            sent_of(message, self._tasks) for message in in_turn if message.flow is None or not message.flow.gathers
        )

    def of(self, task: Task[..., Any, Any] | str) -> list[Sent]:
        """Those of one task."""
        name = task if isinstance(task, str) else task.name
        return [one for one in self._sent if one.task == name]

    def clear(self) -> None:
        self._sent.clear()

    @overload
    def __getitem__(self, index: int) -> Sent: ...
    @overload
    def __getitem__(self, index: slice) -> list[Sent]: ...
    def __getitem__(self, index: int | slice) -> Sent | list[Sent]:
        return self._sent[index]

    def __len__(self) -> int:
        return len(self._sent)

    def __eq__(self, other: object) -> bool:
        return self._sent == (other._sent if isinstance(other, Captured) else other)

    __hash__ = None  # type: ignore[assignment]  # a list of what was sent changes

    def __repr__(self) -> str:
        return "\n".join(["<Captured", *(f"  {one}" for one in self._sent), ">"])


@contextmanager
def captured(app: Polypool) -> Iterator[Captured]:
    """Nothing runs and nothing leaves the process; what is sent is recorded.

    Results can be asked for their status (queued, scheduled) and cancelled; waiting for one raises TimeoutError.
    With `task.using(connection)` the connection is not used: what is sent is recorded, whatever becomes of the
    transaction.
    """
    sent = Captured(app.tasks)
    former = app.outlet.line, app.outlet.line_over
    recorder = _Recorder(MemoryEngine(app.outlet.now), sent)
    app.outlet.line, app.outlet.line_over = recorder, line_over(lambda ask: recorder.ask(ask).result())
    try:
        yield sent
    finally:
        app.outlet.line, app.outlet.line_over = former


class _Recorder:
    """A Line that keeps what is sent where nobody takes it."""

    def __init__(self, engine: Engine, sent: Captured) -> None:
        self._engine = engine
        self._sent = sent

    def ask(self, ask: Ask) -> Done:
        if isinstance(ask, Put):
            self._sent.add(ask.messages)
        reply = answered_at_once(self._engine, ask)
        if (isinstance(ask, Await) and not reply) or (isinstance(ask, Follow) and reply == Page()):
            return Done(error=TimeoutError("nothing runs under captured(app); use run_in_place(app) to have it run"))
        return Done(reply)
