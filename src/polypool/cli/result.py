"""polypool result: what became of one task."""

import json
from typing import Any

import click
import msgspec

from polypool.cli.documents import Result
from polypool.cli.documents import result as result_of
from polypool.cli.exits import FAILED, NOT_ENDED
from polypool.cli.given import OptionalNumbers
from polypool.cli.look import Looking, as_json, look, looking
from polypool.cli.table import Block, Note, Row, Table, columns
from polypool.core.error import ResultUnknown
from polypool.core.lifecycle import State
from polypool.core.port import Engine
from polypool.observe.words import span

FOREVER = float("inf")
LONGEST_WAIT = 30.0
"""Seconds of one wait inside the engine; only how often a waiting command asks anew."""


@click.command(cls=OptionalNumbers, short_help="what became of one task")
@click.argument("id")
@click.option("--wait", type=float, is_flag=False, flag_value=FOREVER, metavar="[S]", help="Wait until it ended.")
@looking(takes_app=False, can_watch=False)
def result(to: Looking, id: str, wait: float | None) -> int:
    """Show a task's state and what it returned or raised.

    Exits with 0 when it succeeded, 1 when it failed, was cancelled or is unknown, 3 when it has not ended.
    """

    async def read(engine: Engine) -> Result:
        if wait is not None:
            await _ended(engine, id, wait)
        record = (await engine.results.read([id]))[0]
        if record is None:
            raise ResultUnknown(
                f"nothing is known of a task {id!r} in {to.engine}\n"
                "It was never sent to this engine, was purged, or its result's time to live is over.",
                task_id=id,
            )
        return result_of(record)

    state = State(look(to, read, blocks).state)
    if state is State.SUCCEEDED:
        return 0
    return FAILED if state.is_final else NOT_ENDED


async def _ended(engine: Engine, id: str, wait: float) -> None:
    """Return when the task has ended, is unknown, or `wait` seconds have passed."""
    left = wait
    while left > 0:
        step = min(left, LONGEST_WAIT)
        if await engine.results.wait([id], step) or (await engine.results.read([id]))[0] is None:
            return
        left -= step


def blocks(seen: Result) -> list[Block]:
    """A result for people: the state and times in a row, the value or the failure below it."""
    style = {"succeeded": "green", "failed": "red", "cancelled": "yellow"}.get(seen.state, "")
    cells = (seen.id, seen.task, seen.state + (" (dead)" if seen.is_dead else ""), span(seen.wall), span(seen.cpu))
    shown: list[Block] = [Table("result", columns("id", "task", "state", ">ran", ">CPU"), (Row(cells, style),))]
    if seen.failure is not None:
        shown.append(Note(f"{seen.failure.type}: {seen.failure.message}", "red"))
        if seen.failure.traceback:
            shown.append(Note(seen.failure.traceback.rstrip()))
    elif seen.state == State.SUCCEEDED:
        shown.append(Note(pretty(seen.value)))
    return shown


def pretty(value: Any) -> str:
    """A value as JSON that people can read."""
    return json.dumps(msgspec.json.decode(as_json(value)), indent=2, ensure_ascii=False)
