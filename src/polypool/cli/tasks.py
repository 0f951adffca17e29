"""polypool tasks: what each task's runs took, and which task is in the wrong pool."""

import time

import click

from polypool.cli.documents import Tasks
from polypool.cli.given import OptionalNumbers
from polypool.cli.look import Looking, look, looking
from polypool.cli.seen import advice_notes, full_task_table
from polypool.cli.table import Note
from polypool.core.port import Engine
from polypool.observe.advice import advise
from polypool.observe.figures import figures


@click.command(cls=OptionalNumbers, short_help="what each task's runs took, and which are in the wrong pool")
@looking()
def tasks(to: Looking) -> None:
    """Show how the runs of each task ended and what they took, and which tasks are in the wrong pool."""

    async def read(engine: Engine) -> Tasks:
        workers = await engine.inspector.workers()
        tallies = await engine.inspector.tallies()
        alive = [pool for worker in workers if worker.is_alive for pool in worker.heartbeat.pools]
        return Tasks(to.engine, time.time(), tuple(map(figures, tallies)), tuple(advise(tallies, pools=alive)))

    look(to, read, lambda seen: [full_task_table(seen.tasks), *(advice_notes(seen.advice) or [_no_advice(seen)])])


def _no_advice(seen: Tasks) -> Note:
    measured = any(task.runs for task in seen.tasks)
    return Note("Nothing to change by what was measured so far." if measured else "No advice before there are runs.")
