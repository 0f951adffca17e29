"""polypool status: workers, pools, what waits, what tasks take, and what to change."""

import time

import click

from polypool.cli.documents import Status, lane_seen, worker_seen
from polypool.cli.given import OptionalNumbers
from polypool.cli.look import Looking, look, looking
from polypool.cli.seen import advice_notes, brief_task_table, lane_table, pool_table, worker_table
from polypool.cli.table import Block
from polypool.core.port import Engine
from polypool.observe.advice import advise
from polypool.observe.figures import figures


@click.command(cls=OptionalNumbers, short_help="workers, pools, tasks and what to change")
@looking()
def status(to: Looking) -> None:
    """Show the workers and their pools, what waits, what each task's runs took, and what to change.

    `at once` is how many runs of a task are under way together while any is (Little's law: runs a second × mean): what
    it needs of a pool's slots.
    """

    async def read(engine: Engine) -> Status:
        workers = await engine.inspector.workers()
        tallies = await engine.inspector.tallies()
        alive = [pool for worker in workers if worker.is_alive for pool in worker.heartbeat.pools]
        return Status(
            engine=to.engine,
            at=time.time(),
            workers=tuple(map(worker_seen, workers)),
            queues=tuple(map(lane_seen, await engine.inspector.lanes())),
            tasks=tuple(map(figures, tallies)),
            advice=tuple(advise(tallies, pools=alive)),
        )

    look(to, read, _blocks)


def _blocks(status: Status) -> list[Block]:
    tables: list[Block] = [worker_table(status.workers, status.at)]
    if any(worker.is_alive for worker in status.workers):
        tables.append(pool_table(status.workers))
    tables += [lane_table(status.queues, status.at), brief_task_table(status.tasks)]
    return [*tables, *advice_notes(status.advice)]
