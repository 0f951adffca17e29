"""polypool workflow replay: send all of a workflow again."""

import click

from polypool.cli.look import Looking, looking
from polypool.cli.workflow.again import send_again
from polypool.results import repeating


@click.command(short_help="send all of one again")
@click.argument("id")
@looking(takes_app=False, can_watch=False)
def replay(to: Looking, id: str) -> None:
    """Send all of a workflow that has ended again, as a new one. Prints the new one's id."""
    send_again(to, id, repeating.replay)
