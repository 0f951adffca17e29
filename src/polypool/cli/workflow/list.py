"""polypool workflow list: the workflows that were sent last."""

import time
from collections.abc import Iterable
from itertools import islice
from typing import Any

import click

from polypool.brokers.answer import converse
from polypool.canvas.part import Part, step_ids, whole_plan
from polypool.canvas.shape import Bulk, Call, Chain, Group, Shape
from polypool.cli.documents import Workflows, WorkflowSeen
from polypool.cli.given import OptionalNumbers
from polypool.cli.look import Looking, look, looking
from polypool.cli.table import Row, Table, columns
from polypool.conversation import Conversation
from polypool.core.ask import Find, Read
from polypool.core.gather import WINDOW
from polypool.core.lifecycle import State
from polypool.core.port import Engine
from polypool.core.report import Search, TaskView
from polypool.observe.words import ago, span
from polypool.results.lineage import views_of

NEWEST = 5_000
"""Messages that are looked through for workflows."""
LONGEST = 60
"""Characters that tell what a workflow consists of."""


@click.command("list", cls=OptionalNumbers, short_help="the workflows that were sent last")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="So many at most.")
@looking()
def list(to: Looking, limit: int) -> None:
    """List the workflows to which the newest 5,000 messages belong, the latest first."""

    async def read(engine: Engine) -> Workflows:
        return Workflows(to.engine, await converse(engine, _found(limit)))

    look(to, read, lambda seen: [_table(seen, time.time())])


def _found(limit: int) -> Conversation[tuple[WorkflowSeen, ...]]:
    newest: Any = yield Find(Search(limit=NEWEST))
    views = {view.id: view for view in newest}
    further = [*{root: None for view in newest for root in _roots(view) if root not in views}]
    for start in range(0, len(further), WINDOW):
        views |= yield from views_of(further[start : start + WINDOW])
    workflows = [view for view in views.values() if view.flow is not None and view.flow.plan is not None]
    workflows.sort(key=lambda view: -view.sent_at)
    seen = []
    for view in workflows[:limit]:
        seen.append((yield from _seen(view)))
    return tuple(seen)


def _roots(view: TaskView) -> Iterable[str]:
    """What it may be a step of."""
    if view.root is not None:
        yield view.root
    for sign in ".-":
        if sign in view.id:
            yield view.id.partition(sign)[0]


def _seen(view: TaskView) -> Conversation[WorkflowSeen]:
    assert view.flow is not None and view.flow.plan is not None
    part = whole_plan(view.id, view.flow.plan)
    state = view.state if view.state.is_final else (yield from _state_now(part))
    return WorkflowSeen(view.id, told(part.shape), state.value, view.sent_at, view.ended_at)


def _state_now(part: Part) -> Conversation[State]:
    """Of one that has not ended: running where one of its steps is, as far as one ask reaches."""
    records = yield Read([*islice(step_ids(part, {}), WINDOW)])
    states = {record.state for record in records if record is not None}
    return next((state for state in (State.RUNNING, State.QUEUED) if state in states), State.SCHEDULED)


def told(shape: Shape) -> str:
    """What it consists of, in one line."""
    text = _told(shape)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _told(shape: Shape) -> str:
    if isinstance(shape, Call):
        return shape.task.rpartition(".")[2]
    if isinstance(shape, Bulk):
        return f"{'many' if shape.count is None else f'{shape.count:,}'} × {shape.task.rpartition('.')[2]}"
    if isinstance(shape, Group):
        kinds = {_told(member) for member in islice(shape.members, 100)}
        inner = kinds.pop() if len(kinds) == 1 and len(shape.members) <= 100 else None
        return f"group of {len(shape.members):,}" if inner is None else f"{len(shape.members):,} × {_in_one(inner)}"
    if isinstance(shape, Chain):
        return " → ".join(map(_told, shape.steps))
    return f"{_told(shape.header)} → {_told(shape.body)}"


def _in_one(text: str) -> str:
    return f"({text})" if " " in text else text


def _table(seen: Workflows, now: float) -> Table:
    rows = tuple(
        Row(
            (
                each.id,
                each.what,
                each.state,
                ago(now - each.sent_at),
                span((now if each.ended_at is None else each.ended_at) - each.sent_at),
            ),
            style={"failed": "red", "cancelled": "yellow"}.get(each.state, ""),
        )
        for each in seen.workflows
    )
    heads = columns("id", "steps", "state", ">sent", ">took")
    return Table("workflows", heads, rows, empty="none among the newest messages")
