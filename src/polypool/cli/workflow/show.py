"""polypool workflow show: a workflow's steps as a tree, with their states and times, and where the time went."""

import sys
import time
from shutil import get_terminal_size

import click

from polypool.brokers.answer import converse
from polypool.canvas.node import Tree
from polypool.cli.given import OptionalNumbers
from polypool.cli.look import Looking, look, looking
from polypool.cli.workflow.drawn import blocks
from polypool.core.port import Engine
from polypool.results.surveying import MEMBERS, survey


@click.command(cls=OptionalNumbers, short_help="its steps, their states, and where the time went")
@click.argument("id")
@click.option(
    "--members",
    type=click.IntRange(min=0),
    default=MEMBERS,
    show_default=True,
    metavar="N",
    help="Show the members of groups of up to N one by one, of larger ones those that tell most.",
)
@looking(takes_app=False)
def show(to: Looking, id: str, members: int) -> None:
    """Show a workflow, a step of one or a task: states, how long each was queued and ran, and what took longest.

    ● marks the steps, one after the other, that it took longest for: where time can be won. An id stands without the
    workflow's in front of it: .0 is ID.0; the last step's is that of the workflow.
    """

    async def read(engine: Engine) -> Tree:
        return await converse(engine, survey(id, time.time(), members))

    width = get_terminal_size().columns if sys.stdout.isatty() else None
    look(to, read, lambda tree: blocks(tree, width))
