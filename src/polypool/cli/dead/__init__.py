"""polypool dead: messages that could not be run, kept with the reason until a person decides."""

import click

from polypool.cli.lazy import LazyGroup

COMMANDS = {
    "list": "the dead letters and why they are dead",
    "show": "one dead letter with its arguments",
    "requeue": "let dead letters run again",
    "purge": "throw dead letters away",
}


@click.group(cls=LazyGroup, package="polypool.cli.dead", summaries=COMMANDS)
def dead() -> None:
    """The dead letters: messages whose task is unknown, whose bytes cannot be read, or whose process died each time."""
