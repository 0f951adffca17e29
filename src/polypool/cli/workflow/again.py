"""Sending a workflow again from the command line: no app is imported, its plan has all that is needed."""

import time
from collections.abc import Callable

import click

from polypool.cli.documents import WorkflowSent
from polypool.cli.look import Looking, as_json
from polypool.cli.workflow.converse import converse_with
from polypool.conversation import Conversation
from polypool.ids import IdSource
from polypool.results.repeating import Repeated


def send_again(to: Looking, id: str, repeat: Callable[[str, str, float], Conversation[Repeated]]) -> None:
    """Do it and say what was sent: on stdout only the new id."""
    sent = converse_with(to, repeat(id, IdSource()(), time.time()))
    if to.is_json:
        click.echo(as_json(WorkflowSent(to.engine, sent.id, id, sent.reused, sent.run, sent.gone)))
        return
    click.echo(sent.id)
    told = f"{_steps(sent.run)} sent; the results of {sent.reused:,} are taken over"
    if sent.gone:
        told += f"; {sent.gone:,} that succeeded or are unknown run again, because nothing of them is kept (result_ttl)"
    click.echo(told, err=True)


def _steps(count: int) -> str:
    return "1 step is" if count == 1 else f"{count:,} steps are"
