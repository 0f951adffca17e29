"""polypool migrate: make the engine's tables, or bring them up to date."""

import asyncio

import click

from polypool.cli.engine import where


@click.command(short_help="make or update the tables of a PostgreSQL engine")
@click.option("--broker", metavar="URL", help="The engine. Default: the app's, POLYPOOL_BROKER.")
@click.option("--backend", metavar="URL", help="Beside an amqp:// engine: the one whose tables are meant.")
@click.option("--app", metavar="MODULE:APP", help="The app whose engine is meant.")
def migrate(broker: str | None, backend: str | None, app: str | None) -> None:
    """Make the tables of a PostgreSQL engine, or bring them up to date. Doing it again changes nothing.

    Run it before the new release's workers start, as a user that may create tables. Other engines need no such step.
    """
    from polypool.brokers.open import migrate_engine

    to = where(broker, app, backend)
    click.echo(asyncio.run(migrate_engine(to.backend or to.url)))
