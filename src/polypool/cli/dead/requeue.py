"""polypool dead requeue: let dead letters run again."""

import click

from polypool.cli.dead.choose import act, choosing, chosen
from polypool.cli.documents import Moved
from polypool.cli.look import Looking, as_json, looking
from polypool.core.error import ConfigurationError


@click.command(short_help="let dead letters run again")
@choosing
@looking(takes_app=False, can_watch=False)
def requeue(to: Looking, ids: tuple[str, ...], task: str | None, queue: str | None, everything: bool) -> None:
    """Put dead letters back into their queues, with their lost runs forgiven."""
    if not (ids or task or queue or everything):
        raise ConfigurationError("which dead letters? name ids, or say --task NAME, --queue NAME or --all")
    count = act(to.where, "requeue", chosen(ids, task, queue, everything))
    click.echo(as_json(Moved(to.engine, count)) if to.is_json else f"{count:,} requeued")
