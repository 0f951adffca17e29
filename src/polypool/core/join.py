"""Join: which step of a workflow waits for which, and what an ending means to those that wait.

A workflow is sent at once: every step is a message, put with the number of endings it waits for, and each message
knows whom to tell of its own ending. So nothing but ids travels from step to step, and no writing can come between
an ending and what follows it: `settle` writes both.
"""

from typing import Literal

import msgspec

OPEN = -1
"""`Flow.waits` of a step whose number of places is not known yet: its sender still reads. `Broker.seal` tells it."""
NO_PLACE = -1

When = Literal["flow", "success", "failure"]


class One(msgspec.Struct, frozen=True, array_like=True, tag=1, gc=False):
    """The value of one step."""

    id: str


class Many(msgspec.Struct, frozen=True, array_like=True, tag=2, gc=False):
    """The values of the steps `<base>-0` to `<base>-<count - 1>`, as a list."""

    base: str
    count: int

    def ids(self, start: int = 0, stop: int | None = None) -> list[str]:
        """Those from index `start` to before `stop`."""
        last = self.count if stop is None else min(stop, self.count)
        return [f"{self.base}-{index}" for index in range(start, last)]


class Listed(msgspec.Struct, frozen=True, array_like=True, tag=3, gc=False):
    """What these refer to, as a list."""

    refs: tuple["Ref", ...]


Ref = One | Many | Listed
"""Where a value is: results stay in their records, and only this is passed on."""


class Input(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An argument that is another step's result: of this name, or before the positional ones.

    `is_failure`: not what that step returned but how it failed (`core.outcome.FailedStep`).
    """

    ref: Ref
    name: str | None = None
    is_failure: bool = False


class Next(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A step to be told of this one's ending, which is number `place` of those it waits for.

    `when` says for which ending it waits: `flow`, for success, and any other ending is the end of it too; `success`
    and `failure` (callbacks): any other ending means that it is not needed. A `place` of NO_PLACE counts for nothing:
    such a step is only told of endings because of which it is not needed, or not to be run. `count`: so many steps,
    `<id>-0` and on, instead of one.
    """

    id: str
    place: int = 0
    when: When = "flow"
    count: int | None = None

    def ids(self) -> list[str]:
        return [self.id] if self.count is None else [f"{self.id}-{index}" for index in range(self.count)]


class Flow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A message's part in a workflow.

    `waits`: of how many places all must be marked before it may run; 0: it waits for nobody. `countdown`: seconds
    it waits from then on. `gathers`: there is nothing to run, its value is what its one input refers to. `plan`: the
    whole workflow as it was composed (`canvas/shape.py`, encoded), kept with the message beyond its end.
    """

    waits: int = 0
    then: tuple[Next, ...] = ()
    inputs: tuple[Input, ...] = ()
    countdown: float = 0.0
    gathers: bool = False
    plan: bytes | None = None
    replacement: bytes | None = None
    """The plan of the workflow that a run of it returned, and that it waits for now."""
    goes_on_from: str | None = None
    """Beside a plan: the earlier workflow of which this one is the retry; steps that it lacks succeeded there."""
    ends_with: str | None = None
    """A step that may have ended, and not well, before those were waiting whom it tells: then this one, which comes
    after it and tells them too, ends as it did (`core/late.py`)."""

    @property
    def keeps_body(self) -> bool:
        """Whether the message is to be kept as long as its ending is, because of what stands in it."""
        return self.plan is not None or self.replacement is not None


class Signal(msgspec.Struct, frozen=True, gc=False):
    """What an ending means to one that waits. Does nothing to what is unknown or waits no longer.

    `mark`: its place `place` is marked, and once all places are it goes to its lane (at `due_when_ready`).
    `break`: it goes to its lane at once and only to be ended there; `cause` comes with its deliveries.
    `drop`: it is not needed, and deleted as if it had never been sent.
    """

    id: str
    kind: Literal["mark", "break", "drop"]
    place: int = 0
    cause: bytes = b""
    """The `core.outcome.Cause`, encoded; of `break` only."""
