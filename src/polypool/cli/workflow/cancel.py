"""polypool workflow cancel: end all of a workflow."""

import click

from polypool.cli.documents import WorkflowCancelled
from polypool.cli.exits import FAILED, complain
from polypool.cli.look import Looking, as_json, looking
from polypool.cli.workflow.converse import converse_with
from polypool.conversation import Conversation
from polypool.results.cancelling import cancel as cancel_all
from polypool.results.lineage import views_of
from polypool.results.result import unknown


@click.command(short_help="end all of one")
@click.argument("id")
@looking(takes_app=False, can_watch=False)
def cancel(to: Looking, id: str) -> int:
    """End what waits and what runs of a workflow; of a step's id that step, and with it what waits for it.

    Callbacks are not run. Exits with 1 when all of it had ended before.
    """

    def ended() -> Conversation[bool]:
        if (yield from cancel_all(id)):
            return True
        if id not in (yield from views_of([id])):
            raise unknown(id)
        return False

    is_cancelled = converse_with(to, ended())
    if to.is_json:
        click.echo(as_json(WorkflowCancelled(to.engine, id, is_cancelled)))
    elif is_cancelled:
        click.echo(f"{id} is cancelled; what runs is ended by its worker within moments")
    else:
        complain(f"all of {id} had ended before")
    return 0 if is_cancelled else FAILED
