"""polypool worker: run an app's tasks."""

import asyncio
import logging
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from polypool.cli.given import names, size
from polypool.cli.locate import find
from polypool.core.error import ConfigurationError
from polypool.core.settings import POOL_KINDS, PoolSpec, WorkerSettings

LOG_FORMAT = "%(asctime)s %(levelname)-7s %(message)s"
LEVELS = ("debug", "info", "warning", "error")


@click.command(short_help="run tasks")
@click.argument("target", metavar="MODULE:APP")
@click.option("-Q", "--queues", type=names, multiple=True, metavar="NAME,…", help="Queues to serve, default: default.")
@click.option(
    "--pool",
    "pools",
    multiple=True,
    metavar="KIND=N|CxN",
    help=f"Size of a pool: N calls at once, in C child processes. Kinds: {', '.join(POOL_KINDS)}. "
    "Pools that a task needs and nobody sized start with their default.",
)
@click.option("--grace", type=click.FloatRange(min=0), metavar="S", help="Seconds a stop waits for running calls.")
@click.option(
    "--heartbeat",
    type=click.FloatRange(min=0.5),
    metavar="S",
    help="Seconds of silence after which others take over what this worker holds.",
)
@click.option(
    "--max-tasks-per-child", type=click.IntRange(min=1), metavar="N", help="Replace a child after so many calls."
)
@click.option(
    "--max-memory-per-child", type=size, metavar="SIZE", help="Replace a child that grew beyond this, such as 200M."
)
@click.option("--broker", metavar="URL", help="Take from this engine instead of the app's own.")
@click.option("--backend", metavar="URL", help="Beside an amqp:// broker: the engine that keeps states and results.")
@click.option("--once", is_flag=True, help="Fail if the engine cannot be reached at the start, instead of waiting.")
@click.option("--name", help="What the worker is called in `polypool status`, default: host and process id.")
@click.option("--reload", is_flag=True, help="Roll the children to new code when a .py file here changes.")
@click.option("--log-level", type=click.Choice(LEVELS), default="info", show_default=True)
def worker(target: str, reload: bool, log_level: str, **given: Any) -> int:
    """Run the tasks of an app until told to stop.

    TERM or Ctrl-C waits for running calls, for --grace seconds at most; a second one stops at once. HUP rolls the
    children to new code.
    """
    directory = Path.cwd()
    find(target, directory)
    settings = settings_of(target, directory, given)
    logging.basicConfig(level=log_level.upper(), format=LOG_FORMAT)
    return _run(settings, reload)


def settings_of(target: str, directory: Path, given: dict[str, Any]) -> WorkerSettings:
    """What was given on the command line; the rest keeps its default."""
    pools = tuple(PoolSpec.parse(text) for text in given.pop("pools"))
    twice = {pool.kind for pool in pools if sum(other.kind == pool.kind for other in pools) > 1}
    if twice:
        raise ConfigurationError(f"--pool {min(twice)} is given twice; write one, such as --pool {min(twice)}=2x100")
    queues = tuple(dict.fromkeys(name for listed in given.pop("queues") for name in listed))
    chosen = {key: value for key, value in given.items() if value is not None}
    if queues:
        chosen["queues"] = queues
    return WorkerSettings(target=target, pools=pools, directory=str(directory), **chosen)


def _run(settings: WorkerSettings, is_reloading: bool) -> int:
    # Here and not above: `--help` and a wrong option answer at once.
    from polypool.worker.worker import Worker

    with ExitStack() as around:
        if is_reloading:
            from polypool.cli.reload import rolling_on_change

            around.enter_context(rolling_on_change(Path(settings.directory)))
        runner = around.enter_context(asyncio.Runner(loop_factory=_loop_factory()))
        return runner.run(Worker(settings).run())


def _loop_factory() -> Any:
    """uvloop where it is installed: half the CPU a frame."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
