"""Workflows for tests: every form that there is, nested and mixed by the dice, of steps that each have a name of their
own. What a step does stands in its arguments (`Deed`), so that an oracle and a worker can both do it."""

import random
from collections.abc import Callable, Iterator
from typing import Any, Literal

import msgspec

from polypool.canvas.shape import Call, Chain, Chord, Group, Shape
from polypool.core.codec import encode
from polypool.core.message import Policy

TASK = "app.step"
POLICY = Policy(max_lost=1_000, max_retries=5, retry_backoff=1.0, retry_jitter=False)
"""Crashes come by the dozen here, and none of them may count against a step."""

Does = Literal["work", "fail", "retry", "unfold"]


class Deed(msgspec.Struct, frozen=True, array_like=True):
    """What a step does: work; fail; fail until its third attempt; or return the workflow `plan`."""

    label: str
    does: Does = "work"
    plan: bytes = b""


class Composer:
    """Makes workflows as the dice fall. `steps` bounds how many calls one of them has."""

    def __init__(self, dice: random.Random, steps: int = 24, failing: float = 0.04) -> None:
        self._dice = dice
        self._left = steps
        self._failing = failing
        self._labels = self._numbered()

    def shape(self, depth: int = 4) -> Shape:
        """Any form; nested at most `depth` deep."""
        if depth <= 0 or self._left <= 1:
            return self.call(depth)
        forms: list[Callable[[int], Shape]] = [self.call, self.chain, self.chain, self.group, self.chord, self.graph]
        return self._dice.choice(forms)(depth)

    def call(self, depth: int = 0, **fields: Any) -> Call:
        self._left -= 1
        deed = self._deed(depth)
        fields = {"is_immutable": self._chance(0.15), "countdown": 3.0 if self._chance(0.05) else 0.0, **fields}
        if deed.does == "work" and self._chance(0.05):
            args: list[Any] = [[self._item() for _ in range(self._dice.randint(1, 4))]]
            return call(deed, args=args, each="item", **{**fields, "is_immutable": True})
        return call(deed, **fields, **self._callbacks(depth))

    def chain(self, depth: int) -> Chain:
        steps = [self.shape(depth - 1) for _ in range(self._dice.randint(1, 4))]
        return Chain(tuple(steps), **self._callbacks(depth))

    def group(self, depth: int) -> Group:
        members = [self.shape(depth - 1) for _ in range(self._dice.randint(1, 4))]
        return Group(tuple(members), **self._callbacks(depth))

    def chord(self, depth: int) -> Chord:
        return Chord(self.group(depth - 1), self.shape(depth - 1), **self._callbacks(depth))

    def graph(self, depth: int) -> Group:
        """A group whose members wait for some of those before them, by name."""
        members: list[Shape] = []
        names: list[str] = []
        for _ in range(self._dice.randint(2, 4)):
            after = tuple(name for name in names if self._chance(0.5))
            names.append(f"after_{next(self._labels)}")
            member = self.shape(min(depth - 1, 1))
            members.append(msgspec.structs.replace(member, name=names[-1], after=after))
        self._dice.shuffle(members)
        return Group(tuple(members), **self._callbacks(depth))

    def _deed(self, depth: int) -> Deed:
        label = next(self._labels)
        if self._chance(self._failing):
            return Deed(label, "fail")
        if self._chance(0.08):
            return Deed(label, "retry")
        if depth > 1 and self._left > 2 and self._chance(0.15):
            return Deed(label, "unfold", encode(self.shape(depth - 2)))
        return Deed(label)

    def _callbacks(self, depth: int) -> dict[str, Any]:
        def some() -> tuple[Shape, ...]:
            return (self.shape(min(depth - 2, 1)),) if depth > 1 and self._chance(0.15) else ()

        return {"on_success": some(), "on_failure": some()}

    def _item(self) -> int:
        return self._dice.randint(0, 9)

    def _chance(self, share: float) -> bool:
        return self._dice.random() < share

    @staticmethod
    def _numbered() -> Iterator[str]:
        number = 0
        while True:
            number += 1
            yield f"s{number}"


def call(deed: Deed | str, does: Does = "work", *, args: list[Any] | None = None, **fields: Any) -> Call:
    """A call of the test's task. `args`: positional ones, in front of none from before."""
    deed = Deed(deed, does) if isinstance(deed, str) else deed
    body = encode([args or [], {"deed": deed}])
    return Call(**{"task": TASK, "args": body, "policy": POLICY, **fields})
