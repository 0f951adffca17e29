"""What an app offers to others: its public tasks, and on which terms."""

from collections.abc import Mapping
from typing import Any

import msgspec

from polypool.app import Polypool
from polypool.core.error import ConfigurationError
from polypool.rest.body import Body
from polypool.rest.settings import WebSettings
from polypool.task import Task


class Offer(msgspec.Struct, frozen=True):
    """Of tasks that are not public nothing is known here."""

    name: str
    tasks: Mapping[str, Task[..., Any, Any]]
    bodies: Mapping[str, Body]
    settings: WebSettings


def offer_of(app: Polypool, settings: WebSettings) -> Offer:
    """ConfigurationError where no task is public."""
    tasks = {name: task for name, task in app.tasks.items() if task.is_public}
    if not tasks:
        raise ConfigurationError(
            f"no task of {app.name} is public, so there is nothing to serve\n"
            "Mark those that may be sent by others: @app.task(public=True)"
        )
    return Offer(app.name, tasks, {name: Body(task) for name, task in tasks.items()}, settings)
