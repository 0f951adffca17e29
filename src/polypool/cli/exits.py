"""How a command ends: its exit status, and what it says when it cannot do what was asked."""

import click

FAILED = 1
"""It was tried and did not work out."""
WRONGLY_USED = 2
"""It could not be tried: a wrong option, a wrong name, a missing package."""
NOT_ENDED = 3
"""`polypool result`: the task has not ended yet."""
INTERRUPTED = 130
"""Ctrl-C, as shells count it: 128 + SIGINT."""


def complain(text: str) -> None:
    """Say on stderr what is wrong in red, and below it, plainly, what helps."""
    wrong, _, help = text.partition("\n")
    click.secho(f"polypool: {wrong}", fg="red", err=True)
    if help:
        click.echo(help, err=True)
