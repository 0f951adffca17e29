"""Which dead letters `requeue` and `purge` act on: those named, those of a task or queue, or all."""

import asyncio
from collections.abc import Callable
from typing import Any

import click

from polypool.cli.engine import Where, opened
from polypool.core.error import ConfigurationError, ResultUnknown
from polypool.core.report import Action, Search


def choosing(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the arguments that choose dead letters."""
    for option in (
        click.option("--all", "everything", is_flag=True, help="All of them."),
        click.option("--task", metavar="NAME", help="All of this task."),
        click.option("--queue", metavar="NAME", help="All of this queue."),
        click.argument("ids", nargs=-1, metavar="[ID]…"),
    ):
        command = option(command)
    return command


def chosen(ids: tuple[str, ...], task: str | None, queue: str | None, everything: bool) -> Search:
    """What was chosen; ConfigurationError where ids and more than those were."""
    if ids and (task or queue or everything):
        raise ConfigurationError("either name ids or say --task, --queue or --all, not both")
    return Search(dead=True, ids=ids or None, task=task, queue=queue)


def act(where: Where, action: Action, search: Search, confirm: bool = False) -> int:
    """Do it; how many it was. ResultUnknown where ids were named and none is dead."""

    async def run() -> int:
        async with opened(where) as engine:
            if confirm:
                click.confirm(f"Delete {_named(search)} from {where.shown} for good?", abort=True, err=True)
            count = await engine.inspector.act(action, search)
            if search.ids and not count:
                raise none_such(search.ids, where.shown)
            return count

    return asyncio.run(run())


def none_such(ids: tuple[str, ...] | list[str], engine: str) -> ResultUnknown:
    named = f"no dead letter has the id {ids[0]!r}" if len(ids) == 1 else "no dead letter has any of these ids"
    return ResultUnknown(f"{named} in {engine}\nSee `polypool dead list`.")


def _named(search: Search) -> str:
    if search.ids:
        return f"{len(search.ids)} dead letters" if len(search.ids) > 1 else f"the dead letter {search.ids[0]}"
    of = "".join(f" of {kind} {name!r}" for kind, name in (("task", search.task), ("queue", search.queue)) if name)
    return f"all dead letters{of}"
