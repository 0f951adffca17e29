"""The names of options and their types: what an editor and a type checker know of a decorator, a send, a signature."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TypedDict

from polypool.core.running import Sendable
from polypool.limits.rule import Rule

Seconds = float | timedelta
Moment = float | datetime
"""A point in time: Unix seconds, or a datetime. One without a time zone is in this machine's, as Python has it."""


class Defaults(TypedDict, total=False):
    """Options that an app gives to all of its tasks, unless they say otherwise."""

    queue: str
    priority: int
    timeout: Seconds | None
    soft_timeout: Seconds | None
    max_retries: int
    retry_backoff: Seconds
    retry_backoff_max: Seconds
    retry_jitter: bool
    autoretry_for: tuple[type[BaseException], ...]
    expires: Seconds | None
    result_ttl: Seconds
    max_lost: int


class TaskOptions(Defaults, total=False):
    """Options of one task, as its decorator takes them."""

    name: str
    pool: str
    public: bool
    rate_limit: str | None
    limits: Sequence[Rule]


class MapOptions(TypedDict, total=False):
    """Options of many sends at once. `task_id` is the group's id; each task's is that and its index."""

    countdown: Seconds
    eta: Moment
    expires: Seconds | datetime | None
    queue: str
    priority: int
    task_id: str
    max_retries: int
    timeout: Seconds | None
    soft_timeout: Seconds | None
    result_ttl: Seconds


Callbacks = Sendable | Iterable[Sendable]
"""A signature, or several."""


class ManyOptions(MapOptions, total=False):
    """Options of `map` and its kin: those of each task, and how they are sent. `max_pending`: never more than so many
    that have not ended."""

    progress: bool | None
    max_pending: int | None


class SendOptions(MapOptions, total=False):
    """Options of one send, over those of its task. `link` and `link_error` are Celery's words for `on_success` and
    `on_failure`: signatures that are sent once it has succeeded, with its result, or failed, with a `FailedStep`."""

    on_success: Callbacks
    on_failure: Callbacks
    link: Callbacks
    link_error: Callbacks


class WorkflowOptions(SendOptions, total=False):
    """Options of one send of what was composed. `progress` and `max_pending`: how a group's members are sent."""

    progress: bool | None
    max_pending: int | None


class ComposeOptions(WorkflowOptions, total=False):
    """Options of a signature. In a group, others wait for it by its `name`, and it for those named in `after`."""

    name: str
    after: str | Iterable[str]


CALLBACKS = frozenset({"on_success", "on_failure", "link", "link_error"})
