"""polypool dead show: one dead letter with its arguments."""

import click

from polypool.cli.dead.choose import none_such
from polypool.cli.documents import Letter, Letters, letter
from polypool.cli.look import Looking, as_json, look, looking
from polypool.cli.table import Block, Note, Row, Table, columns
from polypool.core.port import Engine
from polypool.core.report import Search


@click.command(short_help="one dead letter with its arguments")
@click.argument("id")
@looking(takes_app=False, can_watch=False)
def show(to: Looking, id: str) -> None:
    """Show one dead letter: why it is dead, and what it was called with."""

    async def read(engine: Engine) -> Letters:
        found = await engine.inspector.find(Search(dead=True, ids=(id,)))
        if not found:
            raise none_such([id], to.engine)
        return Letters(to.engine, tuple(map(letter, found)))

    look(to, read, lambda seen: [block for each in seen.dead for block in _blocks(each)])


def _blocks(each: Letter) -> list[Block]:
    cells = (each.id, each.task, each.queue, each.pool, str(each.priority), str(each.attempt))
    heads = columns("id", "task", "queue", "pool", ">priority", ">run")
    called = (
        "its arguments cannot be decoded"
        if each.args is None
        else f"args {as_json(each.args)}  kwargs {as_json(each.kwargs)}"
    )
    again = f"Run it again: polypool dead requeue {each.id}"
    return [Table("dead letter", heads, (Row(cells),)), Note(each.reason, "red"), Note(called), Note(again)]
