"""polypool queues: what waits, by queue and pool."""

import time

import click

from polypool.cli.documents import Queues, lane_seen
from polypool.cli.given import OptionalNumbers
from polypool.cli.look import Looking, look, looking
from polypool.cli.seen import lane_table
from polypool.core.port import Engine


@click.command(cls=OptionalNumbers, short_help="what waits, by queue and pool")
@looking()
def queues(to: Looking) -> None:
    """Show how much waits, is scheduled and runs in each lane: a queue has one lane for each pool kind."""

    async def read(engine: Engine) -> Queues:
        return Queues(to.engine, time.time(), tuple(map(lane_seen, await engine.inspector.lanes())))

    look(to, read, lambda seen: [lane_table(seen.queues, seen.at)])
