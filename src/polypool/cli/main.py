"""The `polypool` command: finds the sub-command, and turns errors into one line that helps."""

import sys
from collections.abc import Sequence

import click

from polypool.cli.exits import FAILED, INTERRUPTED, WRONGLY_USED, complain
from polypool.cli.lazy import LazyGroup
from polypool.core.error import ConfigurationError, PolypoolError

COMMANDS = {
    "worker": "run tasks",
    "call": "send one task, and wait for its result",
    "status": "workers, pools, tasks and what to change",
    "queues": "what waits, by queue and pool",
    "tasks": "what each task's runs took, and which are in the wrong pool",
    "limits": "limits: their keys, rates, and what is used of them",
    "result": "what became of one task",
    "workflow": "workflows: look, list, cancel, retry, replay",
    "dead": "the dead letters: look, requeue, purge",
    "purge": "throw away what waits in a queue",
    "migrate": "make or update the tables of a PostgreSQL engine",
    "web": "serve an app's public tasks over HTTP",
    "check": "whether an app can start here, and what to do if not",
}


@click.group(
    cls=LazyGroup,
    package="polypool.cli",
    summaries=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="polypool", message="polypool %(version)s")
def polypool() -> None:
    """A task queue whose one worker hosts every kind of pool."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit: 0 done, 1 failed, 2 wrongly used or configured, 130 interrupted."""
    sys.exit(_run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    try:
        status = polypool.main(arguments, prog_name="polypool", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return INTERRUPTED
    except PolypoolError as error:
        complain(str(error) or type(error).__name__)
        return WRONGLY_USED if isinstance(error, ConfigurationError) else FAILED
    return status if isinstance(status, int) else 0


if __name__ == "__main__":
    main()
