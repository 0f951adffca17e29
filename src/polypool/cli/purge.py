"""polypool purge: throw away what waits in a queue."""

import asyncio
from difflib import get_close_matches

import click

from polypool.cli.documents import Moved
from polypool.cli.engine import opened
from polypool.cli.look import Looking, as_json, looking
from polypool.core.error import ConfigurationError
from polypool.core.port import Engine
from polypool.core.report import Search


@click.command(short_help="throw away what waits in a queue")
@click.argument("queue")
@click.option("--task", metavar="NAME", help="Only messages of this task.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@looking(takes_app=False, can_watch=False)
def purge(to: Looking, queue: str, task: str | None, yes: bool) -> None:
    """Delete everything that waits in a queue, also what is scheduled. What runs goes on; dead letters stay."""

    async def run() -> int:
        async with opened(to.where) as engine:
            waiting = await _waiting(engine, queue)
            if waiting and not yes:
                what = f"messages of {task} among {waiting:,}" if task else f"{waiting:,} messages"
                click.confirm(f"Delete the {what} waiting in {queue!r} of {to.engine}?", abort=True, err=True)
            return await engine.inspector.act("purge", Search(queue=queue, task=task)) if waiting else 0

    count = asyncio.run(run())
    click.echo(as_json(Moved(to.engine, count)) if to.is_json else f"{count:,} deleted from {queue}")


async def _waiting(engine: Engine, queue: str) -> int:
    """How many wait there. A queue nobody knows is a typing error and not an empty queue."""
    lanes = await engine.inspector.lanes()
    served = {name for worker in await engine.inspector.workers() for name in worker.heartbeat.queues}
    known = sorted(served | {lane.queue for lane in lanes})
    if queue not in known:
        near = get_close_matches(queue, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known) or 'none'}"
        raise ConfigurationError(f"nothing waits in a queue called {queue!r} and no worker serves it; {hint}")
    return sum(lane.queued + lane.scheduled for lane in lanes if lane.queue == queue)
