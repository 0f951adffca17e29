"""What is composed comes to the same whether it is called here, by plain function calls, or sent and run in steps."""

import asyncio
import random
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polypool import Polypool, TaskFailed, chain, chord, group
from polypool.composing.composed import Composed
from polypool.testing import run_in_place

app = Polypool("called", broker="memory://")
returned: dict[str, Composed[Any, Any]] = {}
"""By label: what a run returns instead of a value. Filled anew for each example, by the composer."""


def told(label: str, values: tuple[Any, ...], named: dict[str, Any]) -> str:
    return f"{label}({', '.join([*map(str, values), *(f'{name}={named[name]}' for name in sorted(named))])})"


@app.task(name="plain")
def plain(*values: Any, label: str, **named: Any) -> Any:
    return told(label, values, named)


@app.task(name="awaited")
async def awaited(*values: Any, label: str, **named: Any) -> Any:
    return told(label, values, named)


@app.task(name="fails")
def fails(*values: Any, label: str, **named: Any) -> Any:
    raise ValueError(label)


@app.task(name="becomes")
def becomes(*values: Any, label: str, **named: Any) -> Any:
    return returned[label]


class Faces:
    """Compositions as a user writes them."""

    def __init__(self, dice: random.Random, may_fail: bool) -> None:
        self._dice = dice
        self._left = 12
        self._count = 0
        self._tasks = [plain, plain, awaited] + [fails] * may_fail

    def composed(self, depth: int = 3) -> Composed[Any, Any]:
        forms: list[Callable[[int], Composed[Any, Any]]] = [self.one, self.chain, self.group, self.chord, self.graph]
        return self._dice.choice(forms if depth > 0 and self._left > 1 else [self.one])(depth)

    def one(self, depth: int) -> Composed[Any, Any]:
        self._left -= 1
        self._count += 1
        label = f"s{self._count}"
        if depth > 1 and self._dice.random() < 0.2:
            returned[label] = self.composed(depth - 2)
            return becomes.s(label=label)
        task = self._dice.choice(self._tasks)
        return task.si(label=label) if self._dice.random() < 0.15 else task.s(label=label)

    def chain(self, depth: int) -> Composed[Any, Any]:
        steps = [self.composed(depth - 1) for _ in range(self._dice.randint(2, 3))]
        return chain(*steps) if self._dice.random() < 0.5 else steps[0] | chain(*steps[1:])

    def group(self, depth: int) -> "group[Any]":
        members = [self.composed(depth - 1) for _ in range(self._dice.randint(1, 3))]
        return group(iter(members)) if self._dice.random() < 0.3 else group(members)

    def chord(self, depth: int) -> Composed[Any, Any]:
        return chord(self.group(depth - 1), self.composed(depth - 1))

    def graph(self, depth: int) -> Composed[Any, Any]:
        names: list[str] = []
        members = []
        for _ in range(self._dice.randint(2, 3)):
            after = [name for name in names if self._dice.random() < 0.5]
            self._count += 1
            names.append(f"n{self._count}")
            members.append(self.composed(depth - 1).set(name=names[-1], after=after))
        self._dice.shuffle(members)
        return group(members)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(dice=st.randoms(use_true_random=False), may_fail=st.booleans())
def test_what_is_composed_comes_to_the_same_called_and_sent(dice: random.Random, may_fail: bool) -> None:
    returned.clear()
    composed = Faces(dice, may_fail).composed()
    called = ending_of(lambda: here(composed.clone()))
    with run_in_place(app):
        sent = ending_of(lambda: composed.delay().get())
    if isinstance(called, ValueError):  # which of several comes first is anybody's guess
        assert isinstance(sent, TaskFailed) and sent.type == "ValueError", sent
    else:
        assert sent == called


def here(composed: Composed[Any, Any]) -> Any:
    value = composed()
    return asyncio.run(value) if composed.is_async() or asyncio.iscoroutine(value) else value


def ending_of(run: Callable[[], Any]) -> Any:
    try:
        return run()
    except (ValueError, TaskFailed) as error:
        return error
