"""polypool workflow: workflows that were sent, as trees, and what can be done about them."""

import click

from polypool.cli.lazy import LazyGroup

COMMANDS = {
    "show": "its steps, their states, and where the time went",
    "list": "the workflows that were sent last",
    "cancel": "end all of one",
    "retry": "send one again from the failed step on",
    "replay": "send all of one again",
}


@click.group(cls=LazyGroup, package="polypool.cli.workflow", summaries=COMMANDS)
def workflow() -> None:
    """Workflows: chains, groups and chords that were sent. ID is the id of the result of sending one."""
