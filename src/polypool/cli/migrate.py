"""polypool migrate: make the engine's tables, or bring them up to date."""

import asyncio

import click

from polypool.cli.engine import url_of


@click.command(short_help="make or update the tables of a PostgreSQL engine")
@click.option("--broker", metavar="URL", help="The engine. Default: the app's, POLYPOOL_BROKER.")
@click.option("--app", metavar="MODULE:APP", help="The app whose engine is meant.")
def migrate(broker: str | None, app: str | None) -> None:
    """Make the tables of a PostgreSQL engine, or bring them up to date. Doing it again changes nothing.

    Run it before the new release's workers start, as a user that may create tables. Other engines need no such step.
    """
    from polypool.brokers.open import migrate_engine

    click.echo(asyncio.run(migrate_engine(url_of(broker, app))))
