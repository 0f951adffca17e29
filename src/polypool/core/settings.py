"""What a worker can be told, each setting once: its meaning, its unit, its default."""

import os
import re
from urllib.parse import urlsplit, urlunsplit

import msgspec

from polypool.core.error import ConfigurationError
from polypool.core.message import DEFAULT_QUEUE

POOL_KINDS = ("asyncio", "threads", "prefork", "gevent", "eventlet", "solo")
CARRIERS = ("amqp", "amqps")
"""Schemes of brokers that carry messages and keep nothing else."""
AUTO = "auto"
"""A task's pool when polypool is to choose; such messages wait in a lane of their own."""
SHARED = {"asyncio": 1000, "threads": 32, "gevent": 1000, "eventlet": 1000}
"""Kinds whose child runs many calls, and how many unless told otherwise."""


class PoolSpec(msgspec.Struct, frozen=True):
    """A pool: its kind, how many child processes, how many calls each runs at once."""

    kind: str
    children: int
    concurrency: int

    @property
    def slots(self) -> int:
        return self.children * self.concurrency

    @classmethod
    def of(cls, kind: str) -> "PoolSpec":
        """The pool of this kind that starts when nobody says how large."""
        if kind in SHARED:
            return cls(kind, 1, SHARED[kind])
        return cls(kind, available_cpus() if kind == "prefork" else 1, 1)

    @classmethod
    def parse(cls, text: str) -> "PoolSpec":
        """Read `KIND`, `KIND=N` or `KIND=CxN` (C children of N calls each)."""
        kind, _, size = text.partition("=")
        if kind not in POOL_KINDS:
            raise ConfigurationError(f"--pool {text}: no pool is called {kind!r}; there are {', '.join(POOL_KINDS)}")
        if not size:
            return cls.of(kind)
        found = re.fullmatch(r"(?:(\d+)x)?(\d+)", size)
        if found is None or 0 in (int(n) for n in found.groups() if n):
            raise ConfigurationError(f"--pool {text}: the size is N or CxN (C children × N calls), both at least 1")
        children, number = found.groups()
        if kind in SHARED:
            return cls(kind, int(children or 1), int(number))
        if children is not None and int(number) != 1:
            raise ConfigurationError(
                f"--pool {text}: a {kind} child runs one call at a time; write --pool {kind}={children}"
            )
        return cls(kind, int(children or number), 1)


class WorkerSettings(msgspec.Struct, frozen=True):
    """One worker. Times in seconds, sizes in bytes."""

    target: str
    """MODULE:APP, imported by the children only."""
    queues: tuple[str, ...] = (DEFAULT_QUEUE,)
    pools: tuple[PoolSpec, ...] = ()
    """Pools named here start with these sizes; others a task needs start with their default."""
    grace: float = 30.0
    """How long a stop waits for running calls before it gives them back."""
    heartbeat: float = 6.0
    """The lease: after this long without a sign of life the worker counts as dead. It beats three times as often."""
    max_tasks_per_child: int | None = None
    max_memory_per_child: int | None = None
    """PSS; a child above it ends its calls, takes no more and is replaced."""
    blocked_after: float = 1.0
    """An event loop that does not turn for so long is reported."""
    broker: str | None = None
    """Instead of the app's own."""
    backend: str | None = None
    """Instead of the app's own, beside a broker that needs one."""
    once: bool = False
    """Try the engine once: where it cannot be reached the start fails, instead of waiting for it."""
    name: str | None = None
    directory: str = "."
    """Where MODULE is looked for first."""


def is_carrier(url: str) -> bool:
    """Whether a broker only carries messages, so that it needs a backend beside it."""
    return url.partition("://")[0] in CARRIERS


def usual_backend(broker: str) -> str | None:
    """What the environment names, for a broker that needs one."""
    return (os.environ.get("POLYPOOL_BACKEND") or None) if is_carrier(broker) else None


def without_password(url: str) -> str:
    """An engine's URL as it may be shown: in logs, tables and errors."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url
    name, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{name.partition(':')[0]}@{host}"))


def available_cpus() -> int:
    """Processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
