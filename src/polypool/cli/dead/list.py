"""polypool dead list: the dead letters and why they are dead."""

import time

import click

from polypool.cli.documents import Letters, letter
from polypool.cli.given import OptionalNumbers
from polypool.cli.look import Looking, look, looking
from polypool.cli.table import Row, Table, columns
from polypool.core.port import Engine
from polypool.core.report import Search
from polypool.observe.words import ago


@click.command("list", cls=OptionalNumbers, short_help="the dead letters and why they are dead")
@click.option("--queue", metavar="NAME", help="Only those of this queue.")
@click.option("--task", metavar="NAME", help="Only those of this task.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="So many at most.")
@looking()
def list(to: Looking, queue: str | None, task: str | None, limit: int) -> None:
    """List the dead letters, each with the reason."""
    search = Search(dead=True, queue=queue, task=task, limit=limit)

    async def read(engine: Engine) -> Letters:
        return Letters(to.engine, tuple(map(letter, await engine.inspector.find(search))))

    look(to, read, lambda seen: [_table(seen, time.time())])


def _table(seen: Letters, now: float) -> Table:
    rows = tuple(
        Row(
            (
                each.id,
                each.task,
                each.queue,
                "–" if each.ended_at is None else ago(now - each.ended_at),
                each.reason.partition("\n")[0],
            )
        )
        for each in seen.dead
    )
    return Table("dead letters", columns("id", "task", "queue", ">died", "reason"), rows, empty="none")
