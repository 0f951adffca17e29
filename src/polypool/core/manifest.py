"""Manifest: what a child tells the supervisor of the app it loaded."""

import msgspec

from polypool.core.ledger import Charge
from polypool.core.message import DEFAULT_QUEUE, Policy


class TaskSpec(msgspec.Struct, frozen=True, array_like=True):
    """One task's name and standing options, as its decorator gave them."""

    name: str
    pool: str
    queue: str = DEFAULT_QUEUE
    priority: int = 0
    policy: Policy = Policy()
    is_async: bool = False
    expires: float | None = None
    """Seconds from sending."""
    charges: tuple[Charge, ...] | None = ()
    """What every run is charged by the task's limits; None: that depends on the arguments."""


class Manifest(msgspec.Struct, frozen=True, array_like=True):
    """The app, seen from outside."""

    app: str
    broker: str
    """The engine's URL; the supervisor opens it."""
    tasks: tuple[TaskSpec, ...]
    backend: str | None = None
