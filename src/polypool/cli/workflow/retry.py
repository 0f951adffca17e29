"""polypool workflow retry: send a failed or cancelled workflow again from there on."""

import click

from polypool.cli.look import Looking, looking
from polypool.cli.workflow.again import send_again
from polypool.results import repeating


@click.command(short_help="send one again from the failed step on")
@click.argument("id")
@looking(takes_app=False, can_watch=False)
def retry(to: Looking, id: str) -> None:
    """Send a failed or cancelled workflow again as a new one, which takes over the results of steps that succeeded and
    runs the others. Prints the new one's id."""
    send_again(to, id, repeating.retry)
