"""polypool dead purge: throw dead letters away."""

import click

from polypool.cli.dead.choose import act, choosing, chosen
from polypool.cli.documents import Moved
from polypool.cli.look import Looking, as_json, looking


@click.command(short_help="throw dead letters away")
@choosing
@click.option("--yes", is_flag=True, help="Do not ask.")
@looking(takes_app=False, can_watch=False)
def purge(to: Looking, ids: tuple[str, ...], yes: bool, **of: object) -> None:
    """Delete dead letters for good: all of them unless some are chosen. Asks before, unless --yes is said."""
    count = act(to.where, "purge", chosen(ids, **of), confirm=not yes)  # type: ignore[arg-type]
    click.echo(as_json(Moved(to.engine, count)) if to.is_json else f"{count:,} deleted")
